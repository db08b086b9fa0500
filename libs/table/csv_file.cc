// Whole files and texts in, text out.
#include <sys/stat.h>

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

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

absl::StatusOr<File> OpenFile(const std::string& path) {
  File file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (file != nullptr) return file;
  const int error = errno;
  const std::string why = fmt::format("{}: {}", path, std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(why);
  return error == EACCES ? absl::PermissionDeniedError(why) : absl::UnavailableError(why);
}

/// Size of a regular file, else 0.
int64_t SizeOf(std::FILE* file) {
  struct stat info = {};
  return fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
}

absl::Status FeedFile(const std::string& path, std::FILE* file, CsvReader* reader) {
  std::vector<char> block(kReadBytes);
  for (;;) {
    const size_t n = std::fread(block.data(), 1, block.size(), file);
    if (n == 0) break;
    if (absl::Status fed = reader->Feed({block.data(), n}); !fed.ok()) return Annotate(fed, path);
  }
  if (std::ferror(file) != 0) return Unavailable("{}: {}", path, std::strerror(errno));
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
  ASSIGN_OR_RETURN(const File file, OpenFile(path));
  CsvReader reader(options, [&out](Table&& table) {
    out.table = std::move(table);
    return absl::OkStatus();
  });
  reader.UseOneBatch(SizeOf(file.get()));
  RETURN_IF_ERROR(FeedFile(path, file.get(), &reader));
  out.report = reader.report();
  return out;
}

absl::StatusOr<CsvFile> ReadCsvText(std::string_view text, const CsvOptions& options) {
  CsvFile out;
  CsvReader reader(options, [&out](Table&& table) {
    out.table = std::move(table);
    return absl::OkStatus();
  });
  reader.UseOneBatch(static_cast<int64_t>(text.size()));
  RETURN_IF_ERROR(reader.Feed(text));
  RETURN_IF_ERROR(reader.Finish());
  out.report = reader.report();
  return out;
}

absl::StatusOr<ReadReport> StreamCsvFile(const std::string& path, const CsvOptions& options, CsvReader::BatchFn on_batch) {
  ASSIGN_OR_RETURN(const File file, OpenFile(path));
  CsvReader reader(options, std::move(on_batch));
  RETURN_IF_ERROR(FeedFile(path, file.get(), &reader));
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
