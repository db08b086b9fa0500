// Bulk writes. COPY into a table with row-level security is refused by PostgreSQL, so rows go to a temporary table
// first.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/transaction.h"

namespace vedette::storage {

/// Names and clauses are constants of the program.
struct BulkSpec {
  std::string table;
  std::vector<std::string> columns;
  /// Appended to the INSERT: "on conflict do nothing", "on conflict (tenant_id, id) do update set ...".
  std::string on_conflict = {};
  /// Columns that must be unique within one batch for DO UPDATE ("tenant_id, id"): the last row written wins.
  std::string distinct_on = {};
};

/// Begin, then for each row its cells in the order of `columns` and EndRow, then Finish. Inside one transaction; no
/// other statement may run on it between Begin and Finish. Memory is bounded (about 1 MiB is buffered).
/// An error (from any call; later ones repeat it) leaves the transaction lost: return it from the callback.
class BulkInsert {
 public:
  static absl::StatusOr<BulkInsert> Begin(Tx& tx, BulkSpec spec);
  BulkInsert(BulkInsert&& o) noexcept;
  BulkInsert& operator=(BulkInsert&&) = delete;
  ~BulkInsert();

  void Null();
  void Text(std::string_view v);
  void Int64(int64_t v);
  void Double(double v);  ///< NaN and infinities are stored as such
  void Bool(bool v);
  void Time(absl::Time v);
  void Bytes(std::string_view v);
  void Value(const Param& v);
  absl::Status EndRow();
  /// Rows inserted or updated (those that met "do nothing" are not counted).
  absl::StatusOr<int64_t> Finish();

 private:
  BulkInsert(Tx* tx, BulkSpec spec, std::string stage, std::string column_list);
  void Separate();
  absl::Status Flush();

  Tx* tx_;
  BulkSpec spec_;
  std::string stage_;
  std::string column_list_;
  std::string buffer_;
  size_t cells_ = 0;
  int64_t row_ = 0;
  absl::Status status_;
  bool open_ = true;
};

}  // namespace vedette::storage
