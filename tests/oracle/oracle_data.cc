#include "oracle/oracle_data.h"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <charconv>
#include <cstdlib>
#include <filesystem>

namespace vedette::oracle {
namespace {

std::string ReadAll(const std::string& path) {
  const gzFile file = gzopen(path.c_str(), "rb");  // reads plain files too
  if (file == nullptr) FAIL("cannot open " << path);
  std::string text;
  char buffer[1 << 16];
  for (int got = 0; (got = gzread(file, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(got));
  gzclose(file);
  return text;
}

double Number(std::string_view text) {
  double value = std::numeric_limits<double>::quiet_NaN();
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

template <typename F>
void Cells(std::string_view line, const F& f) {
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(',', begin), line.size());
    f(line.substr(begin, end - begin));
    begin = end + 1;
  }
}

template <typename F>
void Lines(std::string_view text, const F& f) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const bool returned = end > begin && text[end - 1] == '\r';  // written with CRLF
    f(text.substr(begin, end - begin - (returned ? 1 : 0)));
    begin = end + 1;
  }
}

}  // namespace

std::string SharedPath(const std::string& relative) { return VEDETTE_SOURCE_DIR "/../shared/" + relative; }

bool SharedDataPresent() {
  if (std::filesystem::exists(SharedPath("oracle/pyod_benchmark.csv"))) return true;
  if (std::getenv("CI") != nullptr) FAIL("the shared folder with the reference results is absent, and CI needs it");
  WARN("SKIPPED: the shared folder with the reference results is absent");
  return false;
}

int Csv::Find(const std::string& name) const {
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i] == name) return static_cast<int>(i);
  }
  return -1;
}

std::vector<double> Csv::Numbers(const std::string& name) const {
  const int column = Find(name);
  if (column < 0) FAIL("no column " << name);
  std::vector<double> out;
  for (const auto& row : rows) out.push_back(Number(row[static_cast<size_t>(column)]));
  return out;
}

Csv ReadCsv(const std::string& path) {
  const std::string text = ReadAll(path);
  Csv csv;
  Lines(text, [&](std::string_view line) {
    std::vector<std::string> cells;
    Cells(line, [&](std::string_view cell) { cells.emplace_back(cell); });
    if (csv.header.empty()) {
      csv.header = std::move(cells);
    } else {
      csv.rows.push_back(std::move(cells));
    }
  });
  return csv;
}

DataSet LoadSet(const std::string& name, int64_t rows) {
  std::string path = SharedPath("data/tabular/" + name + ".csv");
  if (!std::filesystem::exists(path)) path += ".gz";
  const std::string text = ReadAll(path);
  std::vector<std::string_view> lines;
  Lines(text, [&](std::string_view line) { lines.push_back(line); });
  const auto total = static_cast<int64_t>(lines.size()) - 1;  // the first is the header
  const int64_t n = rows > 0 && rows < total ? rows : total;
  const int64_t d = std::count(lines[0].begin(), lines[0].end(), ',');
  DataSet set{Matrix(n, d), std::vector<uint8_t>(static_cast<size_t>(n))};
  for (int64_t i = 0; i < n; ++i) {
    int64_t j = 0;
    Cells(lines[static_cast<size_t>(1 + i * total / n)], [&](std::string_view cell) {
      if (j < d) set.X(i, j) = Number(cell);
      if (j == d) set.labels[static_cast<size_t>(i)] = cell == "1" ? 1 : 0;
      ++j;
    });
  }
  return set;
}

Matrix CopyRows(const Matrix& X, int64_t begin, int64_t end) {
  Matrix out(end - begin, X.cols());
  for (int64_t j = 0; j < X.cols(); ++j) {
    for (int64_t i = begin; i < end; ++i) out(i - begin, j) = X(i, j);
  }
  return out;
}

}  // namespace vedette::oracle
