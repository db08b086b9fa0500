#include "cli/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "cli/terminal.h"
#include "explain/words.h"
#include "table/rows.h"

namespace vedette::cli {
namespace {

constexpr size_t kChunk = 1 << 20;
constexpr int64_t kCopies = 3;  // of the matrix, beside the table: itself, a detector's own copy, scores and sorting
constexpr int64_t kFewestRows = 10, kFewRows = 100;  // less is no sample, or a poor one

absl::Status WriteAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      return Unavailable("a temporary copy cannot be written: {} (set TMPDIR to a folder with more room)",
                         std::strerror(errno));
    data += n;
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

/// A file without a name, gone when it is closed.
absl::StatusOr<int> UnnamedFile() {
  const char* folder = std::getenv("TMPDIR");
  if (folder == nullptr || *folder == '\0') folder = "/tmp";
  int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {  // not every file system has unnamed files
    std::string pattern = fmt::format("{}/vedette-XXXXXX", folder);
    fd = mkostemp(pattern.data(), O_CLOEXEC);
    if (fd >= 0) unlink(pattern.c_str());
  }
  if (fd < 0) {
    return Unavailable("no temporary file can be made in {} ({}): set TMPDIR to a folder that can be written", folder,
                       std::strerror(errno));
  }
  return fd;
}

/// Copies what cannot be read twice into an unnamed file; `from` is left open.
absl::StatusOr<int> Spool(int from, int64_t* bytes) {
  ASSIGN_OR_RETURN(const int fd, UnnamedFile());
  std::vector<char> buffer(kChunk);
  while (true) {
    const ssize_t n = read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    absl::Status status = n < 0 ? Unavailable("cannot be read: {}", std::strerror(errno))
                                : WriteAll(fd, buffer.data(), static_cast<size_t>(n));
    if (!status.ok()) {
      close(fd);
      return status;
    }
    if (n == 0) return fd;
    *bytes += n;
  }
}

void AppendColumn(table::Column& to, table::Column&& from) {
  if (to.type == table::ColumnType::kCategorical) {
    to.codes.insert(to.codes.end(), from.codes.begin(), from.codes.end());
    // Batches of one reader share a dictionary that only grows.
    if (from.categories.size() > to.categories.size()) to.categories = std::move(from.categories);
  } else {
    to.values.insert(to.values.end(), from.values.begin(), from.values.end());
  }
}

/// Rows of so many columns that memory could hold if nothing else were held.
int64_t RowsInMemory(const SampleOptions& options, int64_t cols) {
  return options.memory_bytes / (std::max<int64_t>(1, cols) * 8);
}

/// The largest file that is kept whole.
int64_t LargestWhole(const SampleOptions& options, int64_t cols) {
  return std::min(RowsInMemory(options, cols) / (1 + kCopies * options.window), options.max_rows);
}

/// Rows to draw, each with its history, from a file of `rows` that is larger than that. Where histories lie apart, the
/// table holds a window for each; where they overlap, no more than the file. One row more than LargestWhole: as many.
int64_t RowsToDraw(const SampleOptions& options, int64_t cols, int64_t rows) {
  const int64_t held = RowsInMemory(options, cols);
  const int64_t apart = held / ((1 + kCopies) * options.window),
                overlapping = (held - rows) / (kCopies * options.window);
  return std::min(std::max(apart, overlapping), options.max_rows);
}

/// The table so far, and what is needed to replace its rows at random once it is full.
struct Reservoir {
  table::Table table;
  int64_t capacity = 0;
  int64_t seen = 0;
  Rng rng;

  void Add(table::Table&& batch, const SampleOptions& options) {
    const int64_t rows = batch.rows();
    if (table.columns.empty()) {
      capacity = LargestWhole(options, batch.cols());
      for (const auto& column : batch.columns) table.columns.push_back({column.name, column.type, {}, {}, {}});
    }
    const int64_t room = std::min(rows, capacity - table.rows());
    std::vector<std::pair<int64_t, int64_t>> replaced;  // (row of the batch, slot)
    for (int64_t i = room; i < rows; ++i) {
      const auto slot = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(seen + i + 1)));
      if (slot < capacity) replaced.emplace_back(i, slot);
    }
    seen += rows;
    for (size_t j = 0; j < table.columns.size(); ++j) {
      auto& to = table.columns[j];
      auto& from = batch.columns[j];
      const bool codes = to.type == table::ColumnType::kCategorical;
      const auto late_values = codes ? std::vector<double>() : Pick(from.values, replaced);
      const auto late_codes = codes ? Pick(from.codes, replaced) : std::vector<int32_t>();
      codes ? from.codes.resize(static_cast<size_t>(room)) : from.values.resize(static_cast<size_t>(room));
      AppendColumn(to, std::move(from));
      for (size_t k = 0; k < replaced.size(); ++k) {
        const auto slot = static_cast<size_t>(replaced[k].second);
        codes ? void(to.codes[slot] = late_codes[k]) : void(to.values[slot] = late_values[k]);
      }
    }
  }

  template <typename T>
  static std::vector<T> Pick(const std::vector<T>& from, const std::vector<std::pair<int64_t, int64_t>>& replaced) {
    std::vector<T> out;
    for (const auto& [row, slot] : replaced) out.push_back(from[static_cast<size_t>(row)]);
    return out;
  }
};

}  // namespace

Input::~Input() {
  if (fd_ >= 0) close(fd_);
}

Input::Input(Input&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_), name_(std::move(other.name_)) {}

absl::StatusOr<Input> Input::Open(const std::string& path) {
  if (path == "-") {
    if (IsTerminal(STDIN_FILENO)) {
      return InvalidArgument("standard input is the keyboard: pipe a file into it, or name the file");
    }
    int64_t bytes = 0;
    absl::StatusOr<int> copy = Spool(STDIN_FILENO, &bytes);
    if (!copy.ok()) return Annotate(copy.status(), "standard input");
    return Input(*copy, bytes, "standard input");
  }
  const std::string shown = explain::SafeText(path, 200);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const absl::StatusCode code = errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable;
    return absl::Status(code, fmt::format("{}: cannot be opened: {}", shown, std::strerror(errno)));
  }
  struct stat info {};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    close(fd);
    return InvalidArgument("{}: is a folder, not a CSV file", shown);
  }
  if (!S_ISREG(info.st_mode)) {  // a pipe by name, such as <(command): it cannot be read twice
    int64_t bytes = 0;
    absl::StatusOr<int> copy = Spool(fd, &bytes);
    close(fd);
    if (!copy.ok()) return Annotate(copy.status(), shown);
    return Input(*copy, bytes, shown);
  }
  return Input(fd, info.st_size, shown);
}

absl::StatusOr<table::ReadReport> Input::Stream(const table::CsvOptions& options, std::string_view label, bool quiet,
                                                const table::CsvReader::BatchFn& on_batch) const {
  table::CsvReader reader(options, on_batch);
  Progress progress(fmt::format("{} {}", label, name_), quiet);
  std::vector<char> buffer(kChunk);
  int64_t offset = 0;
  while (true) {
    const ssize_t n = pread(fd_, buffer.data(), buffer.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Unavailable("{}: cannot be read: {}", name_, std::strerror(errno));
    if (n == 0) break;
    offset += n;
    if (absl::Status fed = reader.Feed({buffer.data(), static_cast<size_t>(n)}); !fed.ok()) {
      return Annotate(fed, name_);
    }
    progress.Update(bytes_ > 0 ? static_cast<double>(offset) / static_cast<double>(bytes_) : -1,
                    fmt::format("{} rows", explain::FormatCount(reader.report().rows)));
  }
  if (absl::Status finished = reader.Finish(); !finished.ok()) return Annotate(finished, name_);
  return reader.report();
}

namespace {

/// Replaces the table by `count` rows, drawn at random, each with its history.
absl::Status DrawWindows(const Input& input, const SampleOptions& options, int64_t count, Sample* sample) {
  table::CsvOptions csv = options.csv;
  csv.schema = table::SchemaOf(sample->table);
  sample->table = {};
  std::vector<int64_t> drawn = Rng(options.seed, 0x5eed).Sample(sample->rows, count);
  std::sort(drawn.begin(), drawn.end());
  table::RowHistory history(options.window - 1);
  table::WindowRows picker(options.window - 1);
  int64_t begin = 0;
  size_t next = 0;
  const auto pick = [&](table::Table&& batch) -> absl::Status {
    const int64_t end = begin + batch.rows();
    ASSIGN_OR_RETURN(const auto run, history.Next(std::move(batch)));
    const int64_t first = begin - run.context_rows;
    std::vector<int64_t> rows;  // of the run
    for (; next < drawn.size() && drawn[next] < end; ++next) rows.push_back(drawn[next] - first);
    begin = end;
    return picker.Append(run.table, first, rows);
  };
  RETURN_IF_ERROR(input.Stream(csv, "sampling", options.quiet, pick).status());
  table::WindowRows::Picked picked = picker.Take();
  sample->table = std::move(picked.table);
  sample->rows_of_table = std::move(picked.rows);
  return absl::OkStatus();
}

/// A sample that memory, not the user, made small must not go unnoticed: a note, or an error where it is none any more.
absl::Status TellIfSmall(const SampleOptions& options, const std::string& name, int64_t count, Sample* sample) {
  const int64_t wanted = std::min(options.max_rows, sample->rows);
  if (count >= wanted || (count >= kFewRows && !options.max_rows_given)) return absl::OkStatus();
  const bool windows = options.window > 1;
  const std::string window = windows ? fmt::format(" with a window of {}", options.window) : "";
  const std::string remedy = windows ? "raise it, or take a smaller --window" : "raise it";
  if (count < kFewestRows) {
    return ResourceExhausted("{}: --memory-limit leaves room to fit on {} of its {} rows{}; {}", name, count,
                             sample->rows, window, remedy);
  }
  sample->report.notes.push_back(fmt::format("fitted on {} rows{}: --memory-limit leaves room for no more{}; {}", count,
                                             options.max_rows_given ? fmt::format(", not {}", wanted) : "", window,
                                             remedy));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Sample> ReadSample(const Input& input, const SampleOptions& options) {
  Reservoir reservoir{{}, 0, 0, Rng(options.seed, 0x5eed)};
  ASSIGN_OR_RETURN(auto report,
                   input.Stream(options.csv, "reading", options.quiet, [&](table::Table&& batch) -> absl::Status {
                     reservoir.Add(std::move(batch), options);
                     return absl::OkStatus();
                   }));
  Sample out;
  out.rows = reservoir.seen;
  out.complete = reservoir.seen == reservoir.table.rows();
  out.table = std::move(reservoir.table);
  out.report = std::move(report);
  if (out.rows == 0) return InvalidArgument("{}: has no data rows", input.name());
  if (out.complete || !options.to_fit) return out;
  const int64_t count = RowsToDraw(options, out.table.cols(), out.rows);
  RETURN_IF_ERROR(TellIfSmall(options, input.name(), count, &out));
  if (options.window > 1) RETURN_IF_ERROR(DrawWindows(input, options, count, &out));
  return out;
}

absl::StatusOr<table::Schema> PeekSchema(const Input& input, const table::CsvOptions& options) {
  table::Schema schema;
  const auto report = input.Stream(options, "reading", true, [&](table::Table&& batch) -> absl::Status {
    schema = table::SchemaOf(batch);
    return absl::CancelledError("seen enough");
  });
  if (schema.empty() && !report.ok()) return report.status();
  if (schema.empty()) return InvalidArgument("{}: has no data rows", input.name());
  return schema;
}

}  // namespace vedette::cli
