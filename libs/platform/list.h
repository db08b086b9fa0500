// Pages of a List method out of PostgreSQL: a filter of AIP-160 and keyset paging. For the PostgreSQL adapters of
// services.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/filter.h"
#include "storage/transaction.h"

namespace vedette::platform {

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

/// What a List request asks for.
struct ListRequest {
  int page_size = 50;
  std::string_view page_token = {};
  std::string_view filter = {};
};

/// Calls `row` for each row of the page and gives the token of the next one ("" at the end). `row` says false when the
/// page is full before page_size; it then has not taken the row (it must take at least one). INVALID_ARGUMENT (field
/// filter or page_token) for a filter or a token that is not right.
absl::StatusOr<std::string> ListRows(storage::Tx& tx, const ListSpec& spec, const ListRequest& request,
                                     const std::function<bool(const storage::Row&)>& row);

}  // namespace vedette::platform
