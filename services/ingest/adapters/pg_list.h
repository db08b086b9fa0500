// ListPage: a page of domain objects out of platform::ListRows.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <utility>

#include "platform/list.h"
#include "services/ingest/ports/dataset_store.h"

namespace vedette::ingest {

/// item(row) -> T for each row.
template <typename T, typename Item>
absl::StatusOr<Page<T>> ListPage(storage::Tx& tx, const platform::ListSpec& spec, const ListQuery& query, Item item) {
  Page<T> page;
  const auto take = [&](const storage::Row& row) {
    page.items.push_back(item(row));
    return true;
  };
  absl::StatusOr<std::string> next =
      platform::ListRows(tx, spec, {query.page_size, query.page_token, query.filter}, take);
  if (!next.ok()) return next.status();
  page.next_page_token = *std::move(next);
  return page;
}

}  // namespace vedette::ingest
