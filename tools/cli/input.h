// Reading a file of any size with bounded memory: at most a sample of it is kept, and it can be streamed again.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "table/csv.h"
#include "table/table.h"

namespace vedette::cli {

/// An input that can be read from its start any number of times. Standard input ("-") is copied to an unnamed temporary
/// file first, because a table larger than memory is read twice.
class Input {
 public:
  /// Errors name the file and the cause: missing, a folder, not readable, no space for a copy of standard input.
  static absl::StatusOr<Input> Open(const std::string& path);
  ~Input();
  Input(Input&& other) noexcept;
  Input& operator=(Input&&) = delete;

  /// What to call it in messages: the path, or "standard input".
  const std::string& name() const { return name_; }
  /// Reads all of it. `label` is the progress line's; every error starts with name().
  absl::StatusOr<table::ReadReport> Stream(const table::CsvOptions& options, std::string_view label, bool quiet,
                                           const table::CsvReader::BatchFn& on_batch) const;

 private:
  Input(int fd, int64_t bytes, std::string name) : fd_(fd), bytes_(bytes), name_(std::move(name)) {}
  int fd_ = -1;
  int64_t bytes_ = 0;  ///< 0 when not known
  std::string name_;
};

struct SampleOptions {
  table::CsvOptions csv;
  int64_t max_rows = 1000000;               ///< more rows: a uniform random sample of this many is kept
  bool max_rows_given = false;              ///< by the user, who is told where memory has room for fewer
  int64_t memory_bytes = int64_t{2} << 30;  ///< and no more than about this much for the table and what is made of it
  int64_t window = 1;                       ///< rows that one row of what is made of it tells of
  bool to_fit = true;                       ///< false: of a file that does not fit only the columns are wanted
  uint64_t seed = 42;
  bool quiet = false;
};

/// All rows in order when they fit, or else a uniform random sample of them (Vitter's reservoir algorithm R, 1985).
/// With a window, the file is then read a second time for rows drawn at random together with those before them: as many
/// as memory holds windows of, max_rows at most. RESOURCE_EXHAUSTED where that is less than a handful; a note in
/// `report` where it is less than a hundred, or than the user's max_rows.
struct Sample {
  table::Table table;
  table::ReadReport report;
  std::vector<int64_t> rows_of_table =
      {};                ///< of a sample with windows: its rows, the others are their history; else empty: all
  int64_t rows = 0;      ///< of the file
  bool complete = true;  ///< the table is the whole file
};

absl::StatusOr<Sample> ReadSample(const Input& input, const SampleOptions& options);

/// Names and types of the file's columns, from its first rows only.
absl::StatusOr<table::Schema> PeekSchema(const Input& input, const table::CsvOptions& options);

}  // namespace vedette::cli
