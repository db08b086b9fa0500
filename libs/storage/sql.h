// Values that go into and come out of a statement, free of libpq.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::storage {

/// Marks a string as `bytea`, so that any byte may be in it: Exec("...", {Bytes{payload}}).
struct Bytes {
  std::string_view value;
};

/// One parameter ($1, $2, ...) of a statement. Owns its text. Numbers keep every digit; absl::Time is sent in UTC with
/// microseconds (infinite times become 'infinity'); nullopt and nullptr are NULL. Types are inferred by the server, so
/// cast where it cannot know: `$1::timestamptz`.
class Param {
 public:
  Param(std::nullptr_t) : null_(true) {}             // NOLINT(google-explicit-constructor): call sites read as values
  Param(std::nullopt_t) : null_(true) {}             // NOLINT
  Param(std::string v) : text_(std::move(v)) {}      // NOLINT
  Param(std::string_view v) : text_(v) {}            // NOLINT
  Param(const char* v) : text_(v) {}                 // NOLINT
  Param(Bytes v) : text_(v.value), binary_(true) {}  // NOLINT
  Param(absl::Time v);                               // NOLINT
  template <std::same_as<bool> T>
  Param(T v) : text_(v ? "t" : "f") {}  // NOLINT
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) Param(T v) : text_(std::to_string(v)) {}  // NOLINT
  template <std::floating_point T>
  Param(T v) : text_(FormatDouble(static_cast<double>(v))) {}  // NOLINT
  template <typename T>
  Param(const std::optional<T>& v) : Param(v.has_value() ? Param(*v) : Param(nullptr)) {}  // NOLINT
  // Arrays: `where id = any($1::uuid[])`, `select * from unnest($1::bigint[], $2::float8[])`.
  Param(const std::vector<std::string>& v);  // NOLINT
  Param(const std::vector<int64_t>& v);      // NOLINT
  Param(const std::vector<double>& v);       // NOLINT

  bool null() const { return null_; }
  bool binary() const { return binary_; }
  const std::string& text() const { return text_; }

 private:
  static std::string FormatDouble(double v);

  std::string text_;
  bool null_ = false;
  bool binary_ = false;
};

using Params = std::vector<Param>;

/// A column, by position (fast) or by the name that the statement gives it.
class Column {
 public:
  Column(int index) : index_(index) {}              // NOLINT
  Column(const char* name) : name_(name) {}         // NOLINT
  Column(std::string_view name) : name_(name) {}    // NOLINT
  Column(const std::string& name) : name_(name) {}  // NOLINT
  int index() const { return index_; }
  std::string_view name() const { return name_; }

 private:
  int index_ = -1;
  std::string_view name_;
};

namespace internal {
/// The first value of a session's results that could not be read as asked (see Result::status).
struct Fault {
  absl::Status status;
};
struct ResultData;
}  // namespace internal

class Result;

/// One row of a Result; valid as long as the Result (or, in Stream, until the callback returns).
/// NULL reads as zero, "", false or the Unix epoch: ask IsNull, or use the Optional forms.
/// A column that does not exist or holds another type reads the same and is recorded: Result::status() tells, and the
/// transaction that the result came from refuses to commit.
class Row {
 public:
  bool IsNull(Column c) const;
  std::string_view Text(Column c) const;
  int64_t Int64(Column c) const;
  double Double(Column c) const;
  bool Bool(Column c) const;
  absl::Time Time(Column c) const;  ///< timestamptz, timestamp or date (both taken as UTC)
  std::string Bytes(Column c) const;
  std::vector<std::string> TextArray(Column c) const;  ///< one-dimensional text[]; NULL elements read as ""
  std::vector<double> DoubleArray(Column c) const;     ///< one-dimensional; NULL elements read as NaN
  std::vector<int64_t> Int64Array(Column c) const;     ///< one-dimensional; NULL elements read as 0
  std::optional<std::string> OptionalText(Column c) const;
  std::optional<int64_t> OptionalInt64(Column c) const;
  std::optional<double> OptionalDouble(Column c) const;
  std::optional<absl::Time> OptionalTime(Column c) const;

 private:
  friend class Result;
  friend class Connection;
  Row(const internal::ResultData* data, int row) : data_(data), row_(row) {}
  int Find(const Column& c) const;
  void Fail(std::string_view column, std::string_view wanted) const;
  template <typename T, typename Parse>
  T Read(const Column& c, std::string_view wanted, T empty, Parse parse) const;

  const internal::ResultData* data_;
  int row_;
};

/// The rows that a statement returned, all in memory (see Connection::Stream for more than that). Cheap to move.
class Result {
 public:
  Result();
  Result(Result&&) noexcept;
  Result& operator=(Result&&) noexcept;
  ~Result();

  int rows() const;
  int columns() const;
  bool empty() const { return rows() == 0; }
  Row operator[](int row) const;
  /// Rows that an INSERT, UPDATE, DELETE or MERGE touched; for SELECT the number of rows.
  int64_t affected() const;
  /// The first access that did not fit the column, or OK.
  absl::Status status() const;

  class Iterator {
   public:
    Iterator(const Result* r, int i) : result_(r), row_(i) {}
    Row operator*() const { return (*result_)[row_]; }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    bool operator!=(const Iterator& o) const { return row_ != o.row_; }

   private:
    const Result* result_;
    int row_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, rows()}; }

 private:
  friend class Connection;
  explicit Result(std::unique_ptr<internal::ResultData> data);
  std::unique_ptr<internal::ResultData> data_;
};

/// SQLSTATE (five characters) that the server gave, or "" when the error came from elsewhere.
std::string SqlState(const absl::Status& status);
/// Name of the constraint that was violated, or "".
std::string ConstraintName(const absl::Status& status);

}  // namespace vedette::storage
