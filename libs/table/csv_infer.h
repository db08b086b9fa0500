// What a CSV file does not say: its delimiter, whether the first record is a header, and the type of each column.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "table/cell.h"
#include "table/csv.h"
#include "table/csv_tokenizer.h"

namespace vedette::table {

/// The cells of tokenized records, in place.
class CsvRows {
 public:
  CsvRows(const char* data, const CsvTokenizer& tokens) : data_(data), tokens_(tokens) {}
  size_t size() const { return tokens_.records().size(); }
  const CsvTokenizer::Record& record(size_t r) const { return tokens_.records()[r]; }
  /// Position behind the record's last byte.
  size_t End(size_t r) const;
  /// Where the first field starts (behind the LF of a CRLF).
  size_t Begin(size_t r) const;
  /// True for a line with nothing but blanks: it is no record.
  bool IsBlank(size_t r) const;
  /// True when a quote stands in the middle of a field, or text follows a closing quote.
  bool HasStrayQuote(size_t r) const;
  /// The cell as UTF-8 text: quoted ones unquoted, others trimmed; in place or in `scratch`. Empty beyond the last field.
  std::string_view Cell(size_t r, size_t field, std::string* scratch) const;

 private:
  const char* data_;
  const CsvTokenizer& tokens_;
};

/// The delimiter under which the lines of the sample have the same number of fields as the first, more than one. Among
/// equals tab, ';', '|' go before ',': a decimal comma makes ',' look regular as well. ',' when nothing separates.
/// `complete`: the sample is the whole input (its last line counts).
char DetectDelimiter(std::string_view sample, bool complete);

/// How one column is read.
struct CsvColumnPlan {
  std::string name;
  ColumnType type = ColumnType::kNumeric;
  DecimalMark mark = DecimalMark::kPoint;
  DateOrder order = DateOrder::kMonthFirst;
  int field = 0;  ///< which field of a record
};

struct CsvPlan {
  std::vector<CsvColumnPlan> columns;
  size_t fields = 0;        ///< that a record should have
  bool has_header = true;
  std::vector<std::string> notes;
};

/// Decides from the records named in `rows`: the first is the header, unless it is all numbers.
absl::StatusOr<CsvPlan> InferCsvPlan(const CsvRows& cells, const std::vector<size_t>& rows, char delimiter,
                                     const CsvOptions& options);

}  // namespace vedette::table
