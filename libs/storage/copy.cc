#include "storage/copy.h"

#include <fmt/format.h>

#include <utility>

#include "base/status.h"

namespace vedette::storage {
namespace {

constexpr size_t kFlushBytes = size_t{1} << 20;

// COPY's text format: tab between cells, newline after rows, backslash escapes these three.
void AppendEscaped(std::string_view v, std::string* out) {
  for (const char c : v) {
    switch (c) {
      case '\\':
        *out += "\\\\";
        break;
      case '\t':
        *out += "\\t";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      default:
        *out += c;
    }
  }
}

}  // namespace

BulkInsert::BulkInsert(Tx* tx, BulkSpec spec, std::string stage, std::string column_list)
    : tx_(tx), spec_(std::move(spec)), stage_(std::move(stage)), column_list_(std::move(column_list)) {}
BulkInsert::BulkInsert(BulkInsert&& o) noexcept
    : tx_(o.tx_),
      spec_(std::move(o.spec_)),
      stage_(std::move(o.stage_)),
      column_list_(std::move(o.column_list_)),
      buffer_(std::move(o.buffer_)),
      cells_(o.cells_),
      row_(o.row_),
      status_(std::move(o.status_)),
      open_(std::exchange(o.open_, false)) {}
BulkInsert::~BulkInsert() {
  if (open_) tx_->connection().AbortCopy();
}

absl::StatusOr<BulkInsert> BulkInsert::Begin(Tx& tx, BulkSpec spec) {
  if (spec.columns.empty()) return InvalidArgument("a bulk insert needs columns");
  std::string columns;
  for (const std::string& c : spec.columns)
    columns += fmt::format("{}{}", columns.empty() ? "" : ", ", QuoteIdentifier(c));
  std::string stage = tx.connection().UniqueName("bulk_stage_");
  Connection& c = tx.connection();
  // Not prepared: the names are new each time. pg_temp needs no search_path.
  RETURN_IF_ERROR(c.Script(fmt::format("create temporary table {} on commit drop as select {} from {} with no data",
                                       stage, columns, QuoteIdentifier(spec.table))));
  RETURN_IF_ERROR(c.BeginCopy(fmt::format("copy pg_temp.{} ({}) from stdin", stage, columns)));
  return BulkInsert(&tx, std::move(spec), std::move(stage), std::move(columns));
}

void BulkInsert::Separate() {
  if (cells_++ > 0) buffer_ += '\t';
}
void BulkInsert::Null() {
  Separate();
  buffer_ += "\\N";
}
void BulkInsert::Text(std::string_view v) {
  Separate();
  if (v.find('\0') != std::string_view::npos && status_.ok()) {
    status_ = InvalidArgument("row {}, column {}: text cannot hold a zero byte", row_ + 1, cells_);
  }
  AppendEscaped(v, &buffer_);
}
void BulkInsert::Int64(int64_t v) {
  Separate();
  fmt::format_to(std::back_inserter(buffer_), "{}", v);
}
void BulkInsert::Double(double v) {
  Separate();
  fmt::format_to(std::back_inserter(buffer_), "{}", v);
}
void BulkInsert::Bool(bool v) {
  Separate();
  buffer_ += v ? 't' : 'f';
}
void BulkInsert::Time(absl::Time v) {
  Separate();
  buffer_ += Param(v).text();
}
void BulkInsert::Bytes(std::string_view v) {
  Separate();
  buffer_ += "\\\\x";
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : v) {
    buffer_ += kHex[static_cast<unsigned char>(c) >> 4];
    buffer_ += kHex[static_cast<unsigned char>(c) & 15];
  }
}
void BulkInsert::Value(const Param& v) {
  if (v.null()) {
    Null();
  } else if (v.binary()) {
    Bytes(v.text());
  } else {
    Text(v.text());
  }
}

absl::Status BulkInsert::EndRow() {
  if (status_.ok() && cells_ != spec_.columns.size()) {
    status_ = InvalidArgument("row {} has {} cells for {} columns", row_ + 1, cells_, spec_.columns.size());
  }
  RETURN_IF_ERROR(status_);
  buffer_ += '\n';
  cells_ = 0;
  ++row_;
  return buffer_.size() >= kFlushBytes ? Flush() : absl::OkStatus();
}

absl::Status BulkInsert::Flush() {
  if (status_.ok()) status_ = tx_->connection().CopyData(buffer_);
  buffer_.clear();
  return status_;
}

absl::StatusOr<int64_t> BulkInsert::Finish() {
  if (!open_) return FailedPrecondition("this bulk insert is finished");
  if (status_.ok() && cells_ != 0) status_ = InvalidArgument("the last row was not ended");
  RETURN_IF_ERROR(Flush());
  open_ = false;
  ASSIGN_OR_RETURN(const int64_t staged, tx_->connection().EndCopy());
  if (staged != row_) return Internal("{} rows were sent and {} arrived", row_, staged);
  // ctid is the order of arrival, so the last row of equal keys wins.
  const std::string select = spec_.distinct_on.empty()
                                 ? fmt::format("select {} from pg_temp.{}", column_list_, stage_)
                                 : fmt::format("select distinct on ({0}) {1} from pg_temp.{2} order by {0}, ctid desc",
                                               spec_.distinct_on, column_list_, stage_);
  absl::StatusOr<int64_t> inserted = tx_->connection().ScriptAffected(
      fmt::format("insert into {} ({}) {} {}", QuoteIdentifier(spec_.table), column_list_, select, spec_.on_conflict));
  if (!inserted.ok()) return inserted;
  RETURN_IF_ERROR(tx_->connection().Script(fmt::format("drop table pg_temp.{}", stage_)));
  return inserted;
}

}  // namespace vedette::storage
