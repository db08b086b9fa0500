// Algorithms of the catalog beside their peers. What is timed is processor time on one thread, the least of some
// repeats: Fit (which gives the training scores) for all; for iforest against scikit-learn Fit + Score, because
// scikit-learn's fit does not score.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/matrix.h"
#include "base/rng.h"
#include "base/status.h"
#include "bench/bench.h"
#include "outlier/registry.h"
#include "table/csv.h"

namespace vedette::bench {
namespace {

using outlier::Descriptor;
namespace fs = std::filesystem;

constexpr int64_t kThinnedRows = 20000;

struct DataSet {
  std::string name;
  Matrix X;
};

/// PyOD's class for one of our names, as the recorded times call it.
const std::map<std::string, std::string, std::less<>> kPyod = {
    {"iforest", "IForest"}, {"knn", "KNN"},   {"lof", "LOF"}, {"ecod", "ECOD"},
    {"copod", "COPOD"},     {"hbos", "HBOS"}, {"pca", "PCA"}, {"mcd", "MCD"}};
constexpr std::string_view kSklearn[] = {"iforest", "knn", "lof", "pca"};

DataSet Synthetic(int64_t n, int64_t d) {
  DataSet set{fmt::format("normal {}x{}", n, d), Matrix(n, d)};
  Rng rng(42);
  for (int64_t i = 0; i < n * d; ++i) set.X.data()[i] = rng.Normal();
  return set;
}

/// All numeric columns but `label`.
absl::StatusOr<DataSet> ReadSet(const fs::path& path) {
  const absl::StatusOr<table::CsvFile> file = table::ReadCsvFile(path.string());
  if (!file.ok()) return Annotate(file.status(), path.string());
  std::vector<const table::Column*> columns;
  for (const table::Column& column : file->table.columns) {
    if (column.name != "label" && column.type == table::ColumnType::kNumeric) columns.push_back(&column);
  }
  DataSet set{path.filename().string().substr(0, path.filename().string().find('.')),
              Matrix(file->table.rows(), static_cast<int64_t>(columns.size()))};
  for (size_t j = 0; j < columns.size(); ++j) {
    std::copy(columns[j]->values.begin(), columns[j]->values.end(), set.X.col(static_cast<int64_t>(j)).begin());
  }
  return set;
}

/// Every (n / rows)-th row: what the recorded times of large sets were measured on.
Matrix Thinned(const Matrix& X, int64_t rows) {
  Matrix out(rows, X.cols());
  for (int64_t j = 0; j < X.cols(); ++j) {
    for (int64_t i = 0; i < rows; ++i) out(i, j) = X(i * X.rows() / rows, j);
  }
  return out;
}

absl::StatusOr<double> Ours(const Descriptor& algorithm, MatrixView X, bool score, int repeats) {
  const absl::StatusOr<outlier::ParamSet> params = outlier::ParamSet::Make(algorithm.params, {});
  if (!params.ok()) return params.status();
  absl::Status status;
  const double seconds = BestOf(repeats, [&] {
    const std::unique_ptr<outlier::Detector> detector = algorithm.make(*params);
    status = detector->Fit(X, {});
    if (!status.ok() || !score) return;
    std::vector<double> scores(static_cast<size_t>(X.rows));
    status = detector->Score(X, scores, {});
  });
  if (!status.ok()) return Annotate(status, algorithm.name);
  return seconds;
}

/// Runs scikit-learn on X in a process of its own; algorithm -> seconds. Empty, with a line, where it is not installed.
std::map<std::string, double, std::less<>> Sklearn(MatrixView X, const std::string& names, int repeats) {
  std::map<std::string, double, std::less<>> out;
  std::string folder = (fs::temp_directory_path() / "vedette-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return out;
  {
    std::ofstream file(fs::path(folder) / "x", std::ios::binary);
    for (int64_t j = 0; j < X.cols; ++j) {
      file.write(reinterpret_cast<const char*>(X.data + j * X.stride), X.rows * static_cast<int64_t>(sizeof(double)));
    }
  }
  const std::string command = fmt::format("/usr/bin/python3 '{}' '{}/x' {} {} {} {}", VEDETTE_BENCH_PEER, folder,
                                          X.rows, X.cols, repeats, names);
  if (FILE* pipe = popen(command.c_str(), "r"); pipe != nullptr) {
    std::array<char, 256> line{};
    while (fgets(line.data(), line.size(), pipe) != nullptr) {
      std::istringstream in(line.data());
      std::string name;
      double seconds = 0;
      if (in >> name >> seconds) out[name] = seconds;
    }
    if (pclose(pipe) != 0)
      fmt::print(stderr, "scikit-learn did not run (Debian: python3-sklearn), its columns are missing\n");
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return out;
}

struct Recorded {
  int64_t rows = 0;
  double seconds = 0;
};

/// "set detector" -> rows and seconds, of the lines that were measured raw and to the end.
absl::StatusOr<std::map<std::string, Recorded>> ReadRecorded(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return NotFound("{} cannot be read", path.string());
  std::map<std::string, Recorded> out;
  std::string line;
  while (std::getline(file, line)) {
    std::vector<std::string> cells;
    std::istringstream in(line);
    for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
    if (cells.size() < 17 || cells[3] != "raw" || !cells[11].starts_with("ok")) continue;
    out[cells[0] + " " + cells[4]] = {std::atoll(cells[1].c_str()), std::atof(cells[16].c_str())};
  }
  return out;
}

void PrintHeader() {
  fmt::print("{:<9} {:<20} {:>8} {:>4} {:>11} {:<28} {:>11} {:>8}\n", "algorithm", "set", "n", "d", "ours cpu s",
             "peer", "peer cpu s", "ratio");
}

void PrintLine(std::string_view algorithm, std::string_view set, MatrixView X, double ours, std::string_view peer,
               double seconds) {
  fmt::print("{:<9} {:<20} {:>8} {:>4} {:>11.5f} {:<28} {:>11.5f} {:>7.1f}x\n", algorithm, set, X.rows, X.cols, ours,
             peer, seconds, seconds / ours);
  std::fflush(stdout);
}

class Run {
 public:
  Run(std::vector<const Descriptor*> algorithms, int repeats, bool sklearn, std::map<std::string, Recorded> recorded)
      : algorithms_(std::move(algorithms)), repeats_(repeats), sklearn_(sklearn), recorded_(std::move(recorded)) {}

  absl::Status Set(const DataSet& set) {
    RETURN_IF_ERROR(AgainstSklearn(set));
    for (const Descriptor* algorithm : algorithms_) {
      const auto name = kPyod.find(algorithm->name);
      if (name == kPyod.end()) continue;
      const auto record = recorded_.find(set.name + " " + name->second);
      if (record == recorded_.end() || record->second.rows > set.X.rows()) continue;
      const bool thinned = record->second.rows == kThinnedRows && set.X.rows() > kThinnedRows;
      if (!thinned && record->second.rows != set.X.rows()) continue;
      const Matrix part = thinned ? Thinned(set.X, kThinnedRows) : Matrix();
      const MatrixView X = thinned ? part.view() : set.X.view();
      const absl::StatusOr<double> ours = Ours(*algorithm, X, false, repeats_);
      if (!ours.ok()) return ours.status();
      PrintLine(algorithm->name, set.name, X, *ours, "PyOD fit, recorded", record->second.seconds);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status AgainstSklearn(const DataSet& set) {
    std::vector<const Descriptor*> shared;
    std::string names;
    for (const Descriptor* algorithm : algorithms_) {
      if (std::find(std::begin(kSklearn), std::end(kSklearn), algorithm->name) == std::end(kSklearn)) continue;
      // All pairs of a large set take minutes.
      if ((algorithm->name == "knn" || algorithm->name == "lof") && set.X.rows() > 100000) continue;
      shared.push_back(algorithm);
      names += (names.empty() ? "" : ",") + std::string(algorithm->name);
    }
    if (!sklearn_ || shared.empty()) return absl::OkStatus();
    const auto theirs = Sklearn(set.X, names, std::min(repeats_, 3));
    for (const Descriptor* algorithm : shared) {
      const auto peer = theirs.find(algorithm->name);
      if (peer == theirs.end()) continue;
      const bool score = algorithm->name == "iforest";
      const absl::StatusOr<double> ours = Ours(*algorithm, set.X, score, repeats_);
      if (!ours.ok()) return ours.status();
      PrintLine(algorithm->name, set.name, set.X, *ours, score ? "scikit-learn fit + score" : "scikit-learn fit",
                peer->second);
    }
    return absl::OkStatus();
  }

  std::vector<const Descriptor*> algorithms_;
  int repeats_;
  bool sklearn_;
  std::map<std::string, Recorded> recorded_;
};

absl::StatusOr<std::vector<const Descriptor*>> Chosen(const std::string& names) {
  const outlier::Catalog catalog({outlier::AllAlgorithms()});
  if (names == "all") return std::vector<const Descriptor*>(catalog.all().begin(), catalog.all().end());
  std::vector<const Descriptor*> out;
  std::istringstream in(names);
  for (std::string name; std::getline(in, name, ',');) {
    const absl::StatusOr<const Descriptor*> found = catalog.Find(name);
    if (!found.ok()) return found.status();
    out.push_back(*found);
  }
  return out;
}

}  // namespace

absl::Status RunAlgorithms(std::span<char* const> args) {
  const absl::StatusOr<Flags> flags = Flags::Parse(args, {{"data", ""},
                                                          {"oracle", ""},
                                                          {"algorithms", "all"},
                                                          {"repeats", "3"},
                                                          {"sklearn", "yes"},
                                                          {"min-rows", "1000"},
                                                          {"synthetic", "50000x9,50000x20"}});
  if (!flags.ok()) return flags.status();
  const absl::StatusOr<int64_t> repeats = flags->Int("repeats", 1, 1000), min_rows = flags->Int("min-rows", 1, 1 << 30);
  RETURN_IF_ERROR(repeats.status());
  RETURN_IF_ERROR(min_rows.status());
  const absl::StatusOr<std::vector<const Descriptor*>> algorithms = Chosen(flags->Text("algorithms"));
  if (!algorithms.ok()) return algorithms.status();
  std::map<std::string, Recorded> recorded;
  if (!flags->Text("oracle").empty()) {
    absl::StatusOr<std::map<std::string, Recorded>> read =
        ReadRecorded(fs::path(flags->Text("oracle")) / "pyod_benchmark.csv");
    if (!read.ok()) return read.status();
    recorded = *std::move(read);
  }
  Run run(*algorithms, static_cast<int>(*repeats), flags->Text("sklearn") == "yes", std::move(recorded));
  PrintHeader();
  std::istringstream shapes(flags->Text("synthetic"));
  for (std::string shape; std::getline(shapes, shape, ',');) {
    long long n = 0, d = 0;
    if (std::sscanf(shape.c_str(), "%lldx%lld", &n, &d) != 2 || n < 1 || d < 1 || n > 100000000 / d) {
      return InvalidArgument("--synthetic '{}' is not ROWSxCOLUMNS of at most 1e8 cells", shape);
    }
    RETURN_IF_ERROR(run.Set(Synthetic(n, d)));
  }
  if (flags->Text("data").empty()) return absl::OkStatus();
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(flags->Text("data"), error)) {
    if (entry.path().string().ends_with(".csv") || entry.path().string().ends_with(".csv.gz"))
      files.push_back(entry.path());
  }
  if (error) return NotFound("{}: {}", flags->Text("data"), error.message());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const absl::StatusOr<DataSet> set = ReadSet(file);
    if (!set.ok()) return set.status();
    if (set->X.rows() >= *min_rows) RETURN_IF_ERROR(run.Set(*set));
  }
  return absl::OkStatus();
}

}  // namespace vedette::bench
