// Pages of a List method out of PostgreSQL: a filter of AIP-160 and keyset paging.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/filter.h"
#include "services/ingest/ports/dataset_store.h"
#include "storage/transaction.h"

namespace vedette::ingest {

/// A column that the listing is sorted by; together they must be unique within a tenant.
struct SortKey {
  std::string_view sql;
  std::string_view type;  ///< "uuid", "timestamptz", "text"
};

/// Constants of the program.
struct ListSpec {
  std::string_view columns;
  std::string_view from;
  std::vector<SortKey> keys;
  bool descending = false;
  runtime::FilterSchema filter = {};
};

/// Calls `row` for each row of the page and gives the token of the next one ("" at the end). `row` says false when the
/// page is full before page_size; it then has not taken the row (it must take at least one).
absl::StatusOr<std::string> ListRows(storage::Tx& tx, const ListSpec& spec, const ListQuery& query,
                                     const std::function<bool(const storage::Row&)>& row);

/// A whole page: item(row) -> T.
template <typename T, typename Item>
absl::StatusOr<Page<T>> ListPage(storage::Tx& tx, const ListSpec& spec, const ListQuery& query, Item item) {
  Page<T> page;
  absl::StatusOr<std::string> next = ListRows(tx, spec, query, [&](const storage::Row& row) {
    page.items.push_back(item(row));
    return true;
  });
  if (!next.ok()) return next.status();
  page.next_page_token = *std::move(next);
  return page;
}

}  // namespace vedette::ingest
