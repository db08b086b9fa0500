// CSV reading: RFC 4180 and what people really send. Bytes are pushed in as they come; batches of rows come out; memory
// is bounded.
//
//  bytes      gzip (found by its magic number, any number of members), UTF-8 with or without byte order mark, UTF-16 of
//             either order, or Windows-1252: cells that are not UTF-8 are converted, with a note.
//  records    end with LF, CRLF or CR; lines of nothing but blanks are skipped. Short and long records are reported as
//             bad cells and kept: missing cells are missing, extra cells are dropped (silently when they are empty).
//  quotes     "..." with "" for one quote; delimiters and line ends inside are data. Blanks before the opening quote are
//             forgiven. A quote in the middle of an unquoted cell is an ordinary character.
//  delimiter  , ; tab | by the regularity of the first 64 KiB, or Excel's first line "sep=;".
//  header     the first record, unless all its cells are numbers: then the columns are column_1, column_2... Empty and
//             repeated names are replaced, with a note.
//  missing    the spellings of IsMissingText in cell.h: empty, NA, N/A, null, None, -, nan...
//  types      from the first infer_rows rows (or 32 MiB): numeric when at least 95% of the cells that are not missing are
//             numbers, else timestamp when at least 95% are dates or times (forms: ParseTimestamp in cell.h), else
//             categorical (true/false and yes/no as well). A column without any value is numeric.
//  numbers    ParseNumberAs in cell.h. A column is read with a decimal comma ("1.234,5") when more of its cells are
//             numbers only that way than only the other way; a column that leaves it open follows the others.
//  bad cells  those that do not fit their column's type: missing in the table, and in the report with line, row, column,
//             text and reason.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "table/table.h"

namespace vedette::table {

/// Share of a column's values that must fit a type for the column to have it.
inline constexpr double kTypeShare = 0.95;

struct CsvOptions {
  char delimiter = 0;                  ///< 0: found from the first lines among , ; tab |
  int64_t infer_rows = 10000;          ///< types are decided by this many rows; a later cell that disagrees is a bad cell
  int64_t batch_rows = 8192;           ///< fewer when the table is wide: a batch has at most 4 Mi cells
  int64_t max_columns = 20000;
  int64_t max_record_bytes = 16 << 20;   ///< a longer record (an open quote, usually) is an error that names its line
  int64_t max_categories = 100000;       ///< further distinct texts of a column become missing, and are reported
  int64_t max_category_bytes = 256 << 20;  ///< the same, for the memory of all distinct texts of all columns
  int64_t max_text_bytes = 0;          ///< of the text after decompression; more is an error. 0: no limit
  int max_reported = 100;
  Schema schema = {};                  ///< when not empty: read these columns with these types (by name), infer nothing
  bool keep_other_columns = false;     ///< with a schema: read the other columns too, behind those, with inferred types
};

/// Push parser. Feed bytes (plain or gzip, found by the magic number), then Finish. `on_batch` is called in order with
/// tables that all have the same schema; their categorical codes share one growing dictionary per column. An error of
/// `on_batch` stops the reading and is returned. Not thread-safe.
class CsvReader {
 public:
  using BatchFn = std::function<absl::Status(Table&& batch)>;
  CsvReader(CsvOptions options, BatchFn on_batch);
  ~CsvReader();

  /// INVALID_ARGUMENT: not CSV (a workbook, a PDF...), too many columns, a record that is too long, a schema's column that
  /// is not there. DATA_LOSS: damaged gzip. After an error every call returns it again.
  absl::Status Feed(std::string_view bytes);
  /// Ends the input. INVALID_ARGUMENT: empty input, a header only (one data row is enough), an unterminated quote (with
  /// the line where it opened). DATA_LOSS: gzip that is cut short.
  absl::Status Finish();
  /// Known once the first batch came out.
  const Schema& schema() const;
  const ReadReport& report() const;
  /// Before the first Feed: everything comes out as one table at the end of Finish. `expected_bytes`, the size of the
  /// input or 0, saves growing; a wrong size does no harm (address space is asked for, memory only as rows come).
  void UseOneBatch(int64_t expected_bytes = 0);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct CsvFile {
  Table table;
  ReadReport report;
};
/// The whole file in memory (8 bytes a numeric cell). "-" reads standard input.
absl::StatusOr<CsvFile> ReadCsvFile(const std::string& path, const CsvOptions& options = {});
/// The whole of `text`, for tests and small inputs.
absl::StatusOr<CsvFile> ReadCsvText(std::string_view text, const CsvOptions& options = {});
/// Streams the file through on_batch with bounded memory and returns the report.
absl::StatusOr<ReadReport> StreamCsvFile(const std::string& path, const CsvOptions& options, CsvReader::BatchFn on_batch);

/// Writes RFC 4180: quotes where needed, '\n' line ends. Numbers in their shortest exact form, times as RFC 3339. What
/// ReadCsvText makes of the result is the same table, if the table came from a CsvReader.
std::string ToCsv(const Table& table);

/// A number as people write it: "1,234.5", "(1,234)" = -1234, "12%" = 0.12, "$3.50", "1e308", " 7 ". False otherwise
/// (also for "inf" and "nan", which are not usable values; `reason` says why).
bool ParseNumber(std::string_view text, double* value, std::string* reason = nullptr);

}  // namespace vedette::table
