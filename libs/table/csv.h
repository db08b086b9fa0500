// CSV reading: RFC 4180 and what people really send (BOM, CRLF, ragged rows, ';' or tab, Windows-1252, gzip,
// "1,234.5", "(1,234)", "12%"). Bytes are pushed in as they come; batches of rows come out; memory is bounded.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "table/table.h"

namespace vedette::table {

struct CsvOptions {
  char delimiter = 0;                  ///< 0: found from the first lines among , ; tab |
  int64_t infer_rows = 10000;          ///< types are decided by this many rows; a later cell that disagrees is a bad cell
  int64_t batch_rows = 8192;
  int64_t max_columns = 20000;
  int64_t max_record_bytes = 16 << 20;   ///< a longer record (an open quote, usually) is an error that names its line
  int64_t max_categories = 100000;       ///< further distinct texts of a column become missing, and are reported
  int max_reported = 100;
  Schema schema = {};                  ///< when not empty: read these columns with these types (by name), infer nothing
};

/// Push parser. Feed bytes (plain or gzip, found by the magic number), then Finish. `on_batch` is called in order with
/// tables that all have the same schema; their categorical codes share one growing dictionary per column. An error of
/// `on_batch` stops the reading and is returned. Not thread-safe.
class CsvReader {
 public:
  using BatchFn = std::function<absl::Status(Table&& batch)>;
  CsvReader(CsvOptions options, BatchFn on_batch);
  ~CsvReader();

  absl::Status Feed(std::string_view bytes);
  /// Ends the input. Errors: empty input, a header only, an unterminated quote (with the line where it opened).
  absl::Status Finish();
  /// Known once the first batch came out.
  const Schema& schema() const;
  const ReadReport& report() const;

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

/// Writes RFC 4180: quotes where needed, '\n' line ends.
std::string ToCsv(const Table& table);

/// A number as people write it: "1,234.5", "(1,234)" = -1234, "12%" = 0.12, "$3.50", "1e308", " 7 ". False otherwise
/// (also for "inf" and "nan", which are not usable values; `reason` says why).
bool ParseNumber(std::string_view text, double* value, std::string* reason = nullptr);

}  // namespace vedette::table
