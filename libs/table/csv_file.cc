// Whole files and texts in, text out.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/status.h"
#include "table/cell.h"
#include "table/csv.h"

namespace vedette::table {
namespace {

constexpr size_t kReadBytes = 256 << 10;

absl::Status FeedFile(const std::string& path, CsvReader* reader) {
  struct Close {
    void operator()(std::FILE* file) const {
      if (file != stdin) std::fclose(file);
    }
  };
  const std::unique_ptr<std::FILE, Close> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    const std::string why = fmt::format("{}: {}", path, std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(why) : absl::PermissionDeniedError(why);
  }
  std::vector<char> block(kReadBytes);
  for (;;) {
    const size_t n = std::fread(block.data(), 1, block.size(), file.get());
    if (n == 0) break;
    if (absl::Status fed = reader->Feed({block.data(), n}); !fed.ok()) return Annotate(fed, path);
  }
  if (std::ferror(file.get()) != 0) return Unavailable("{}: {}", path, std::strerror(errno));
  return Annotate(reader->Finish(), path);
}

/// Whether a text must be quoted to come back as it is, whatever delimiter a reader assumes.
bool NeedsQuotes(std::string_view text) {
  return text.empty() || text.find_first_of("\",;\t|\r\n") != text.npos || TrimBlanks(text).size() != text.size();
}

void AppendCell(std::string_view text, std::string* out) {
  if (!NeedsQuotes(text)) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (const char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

}  // namespace

absl::StatusOr<CsvFile> ReadCsvFile(const std::string& path, const CsvOptions& options) {
  CsvFile out;
  CsvReader reader(options, [&out](Table&& table) {
    out.table = std::move(table);
    return absl::OkStatus();
  });
  reader.UseOneBatch();
  RETURN_IF_ERROR(FeedFile(path, &reader));
  out.report = reader.report();
  return out;
}

absl::StatusOr<CsvFile> ReadCsvText(std::string_view text, const CsvOptions& options) {
  CsvFile out;
  CsvReader reader(options, [&out](Table&& table) {
    out.table = std::move(table);
    return absl::OkStatus();
  });
  reader.UseOneBatch();
  RETURN_IF_ERROR(reader.Feed(text));
  RETURN_IF_ERROR(reader.Finish());
  out.report = reader.report();
  return out;
}

absl::StatusOr<ReadReport> StreamCsvFile(const std::string& path, const CsvOptions& options, CsvReader::BatchFn on_batch) {
  CsvReader reader(options, std::move(on_batch));
  RETURN_IF_ERROR(FeedFile(path, &reader));
  return reader.report();
}

std::string ToCsv(const Table& table) {
  std::string out;
  const int64_t cols = table.cols();
  for (int64_t j = 0; j < cols; ++j) {
    if (j > 0) out.push_back(',');
    AppendCell(table.columns[static_cast<size_t>(j)].name, &out);
  }
  out.push_back('\n');
  for (int64_t i = 0; i < table.rows(); ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      if (j > 0) out.push_back(',');
      const Column& column = table.columns[static_cast<size_t>(j)];
      // A missing cell is empty; alone on its line it is "", because blank lines are no records.
      if (!column.IsMissing(i) || cols == 1) AppendCell(column.Text(i), &out);
    }
    out.push_back('\n');
  }
  return out;
}

}  // namespace vedette::table
