// A columnar table: what a CSV file, a workbook sheet or an uploaded dataset becomes.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::table {

/// A number that is not there.
inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

enum class ColumnType {
  kNumeric,      ///< doubles; NaN = missing
  kCategorical,  ///< codes into `categories`; -1 = missing
  kTimestamp,    ///< seconds since 1970-01-01 UTC as doubles; NaN = missing
};

std::string_view ColumnTypeName(ColumnType type);

/// One column. Exactly one of `values` (numeric, timestamp) and `codes` (categorical) is filled, with one entry a row.
struct Column {
  std::string name;
  ColumnType type = ColumnType::kNumeric;
  std::vector<double> values;
  std::vector<int32_t> codes;
  std::vector<std::string> categories;  ///< in order of first appearance

  int64_t size() const { return static_cast<int64_t>(type == ColumnType::kCategorical ? codes.size() : values.size()); }
  bool IsMissing(int64_t row) const;
  /// The cell as text: shortest form that reads back to the same double; "" when missing; RFC 3339 for timestamps.
  std::string Text(int64_t row) const;
};

struct Table {
  std::vector<Column> columns;  ///< all of the same size
  int64_t rows() const { return columns.empty() ? 0 : columns.front().size(); }
  int64_t cols() const { return static_cast<int64_t>(columns.size()); }
  /// Index of the column with this name, or -1.
  int64_t Find(std::string_view name) const;
};

/// Name and type of each column: what a stored model remembers of the table it was fitted on.
struct ColumnSchema {
  std::string name;
  ColumnType type = ColumnType::kNumeric;
};
using Schema = std::vector<ColumnSchema>;
Schema SchemaOf(const Table& table);

/// A cell that could not be read as its column's type: treated as missing, and reported.
struct BadCell {
  int64_t line = 0;  ///< 1-based line of the file on which the record starts
  int64_t row = 0;   ///< 0-based data row
  std::string column;
  std::string text;    ///< at most 64 bytes of it
  std::string reason;  ///< "not a number", "too large for a double", "record has 3 fields, the header has 5"...
};

/// Everything odd that was met while reading; the lists are capped, the counts are not.
struct ReadReport {
  int64_t rows = 0;
  int64_t bytes = 0;
  int64_t bad_cells = 0;
  std::vector<BadCell> first_bad_cells;  ///< at most CsvOptions::max_reported
  std::vector<std::string> notes;  ///< "column 3 had no name and is called column_3", "converted from Windows-1252"...
};

}  // namespace vedette::table
