#include "bench/peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/rng.h"
#include "base/status.h"
#include "boosting/algorithms.h"
#include "neural/algorithms.h"
#include "table/csv.h"

namespace vedette::bench {
namespace fs = std::filesystem;
namespace {

/// A matrix in a file of a folder of its own, column after column; removed with the object.
class MatrixFile {
 public:
  explicit MatrixFile(MatrixView X) : folder_((fs::temp_directory_path() / "vedette-bench-XXXXXX").string()) {
    if (mkdtemp(folder_.data()) == nullptr) {
      folder_.clear();
      return;
    }
    std::ofstream file(path(), std::ios::binary);
    for (int64_t j = 0; j < X.cols; ++j) {
      file.write(reinterpret_cast<const char*>(X.data + j * X.stride), X.rows * static_cast<int64_t>(sizeof(double)));
    }
  }
  ~MatrixFile() {
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }
  MatrixFile(const MatrixFile&) = delete;
  MatrixFile& operator=(const MatrixFile&) = delete;
  std::string path() const { return folder_ + "/x"; }

 private:
  std::string folder_;
};

/// Lines "name seconds" that a command prints; `absent` is said when it fails.
std::map<std::string, double> Timings(const std::string& command, std::string_view absent) {
  std::map<std::string, double> out;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  std::array<char, 256> line{};
  while (fgets(line.data(), line.size(), pipe) != nullptr) {
    std::istringstream in(line.data());
    std::string name;
    double seconds = 0;
    if (in >> name >> seconds) out[name] = seconds;
  }
  if (pclose(pipe) != 0) fmt::print(stderr, "{}\n", absent);
  return out;
}

absl::StatusOr<std::vector<std::vector<std::string>>> ReadCells(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return NotFound("{} cannot be read", path.string());
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    rows.emplace_back();
    std::istringstream in(line);
    for (std::string cell; std::getline(in, cell, ',');) rows.back().push_back(cell);
  }
  return rows;
}

}  // namespace

std::string_view PyodName(std::string_view algorithm) {
  static const std::map<std::string_view, std::string_view> names = {
      {"abod", "ABOD"},         {"ae1svm", "AE1SVM"},     {"alad", "ALAD"},       {"anogan", "AnoGAN"},
      {"autoencoder", "AutoEncoder"}, {"cblof", "CBLOF"}, {"cd", "CD"},           {"cof", "COF"},
      {"copod", "COPOD"},       {"deep_svdd", "DeepSVDD"}, {"dif", "DIF"},        {"ecod", "ECOD"},
      {"feature_bagging", "FeatureBagging"}, {"gmm", "GMM"}, {"hbos", "HBOS"},    {"iforest", "IForest"},
      {"inne", "INNE"},         {"kde", "KDE"},           {"knn", "KNN"},         {"knn_mean", "KNN_mean"},
      {"knn_median", "KNN_median"}, {"kpca", "KPCA"},     {"lmdd", "LMDD"},       {"loci", "LOCI"},
      {"loda", "LODA"},         {"lof", "LOF"},           {"lscp", "LSCP"},       {"lunar", "LUNAR"},
      {"mcd", "MCD"},           {"mo_gaal", "MO_GAAL"},   {"ocsvm", "OCSVM"},     {"pca", "PCA"},
      {"qmcd", "QMCD"},         {"rgraph", "RGraph"},     {"rod", "ROD"},         {"sampling", "Sampling"},
      {"so_gaal", "SO_GAAL"},   {"sod", "SOD"},           {"sos", "SOS"},         {"suod", "SUOD"},
      {"vae", "VAE"}};
  const auto found = names.find(algorithm);
  return found == names.end() ? std::string_view() : found->second;
}

absl::StatusOr<std::map<std::string, Recorded>> ReadRecorded(const fs::path& folder) {
  ASSIGN_OR_RETURN(const auto rows, ReadCells(folder / "pyod_benchmark.csv"));
  std::map<std::string, Recorded> out;
  for (const auto& cells : rows) {
    if (cells.size() < 18 || cells[3] != "raw" || !cells[11].starts_with("ok")) continue;
    out[cells[0] + " " + cells[4]] = {std::atoll(cells[1].c_str()), std::atof(cells[16].c_str()), std::atof(cells[17].c_str())};
  }
  return out;
}

absl::StatusOr<std::map<std::string, double>> ReadLatencies(const fs::path& folder) {
  ASSIGN_OR_RETURN(const auto rows, ReadCells(folder / "pyod_latency.csv"));
  std::map<std::string, double> out;
  for (const auto& cells : rows) {
    if (cells.size() > 6 && std::atof(cells[6].c_str()) > 0) out[cells[3]] = std::atof(cells[6].c_str());
  }
  return out;
}

std::map<std::string, double> Sklearn(MatrixView X, const std::string& names, int repeats) {
  const MatrixFile file(X);
  return Timings(fmt::format("/usr/bin/python3 '{}' '{}' {} {} {} {}", VEDETTE_BENCH_PEER, file.path(), X.rows, X.cols, repeats, names),
                 "scikit-learn did not run (Debian: python3-sklearn), its columns are missing");
}

std::map<std::string, double> Torch(MatrixView X, const std::string& names, int repeats) {
  const MatrixFile file(X);
  return Timings(fmt::format("/usr/bin/python3 '{}' '{}' {} {} {} {}", VEDETTE_BENCH_NEURAL_PEER, file.path(), X.rows, X.cols, repeats, names),
                 "PyTorch did not run (Debian: python3-torch), its columns are missing");
}

double FaissSeconds([[maybe_unused]] MatrixView X, [[maybe_unused]] int64_t k, [[maybe_unused]] int repeats) {
#ifdef VEDETTE_BENCH_FAISS
  const MatrixFile file(X);
  const auto seconds = Timings(fmt::format("OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 '{}' '{}' {} {} {} {}", VEDETTE_BENCH_FAISS,
                                           file.path(), X.rows, X.cols, k, repeats), "faiss did not run");
  const auto found = seconds.find("faiss-flat");
  return found == seconds.end() ? 0 : found->second;
#else
  return 0;
#endif
}

Matrix Normal(int64_t rows, int64_t columns, uint64_t seed) {
  Matrix X(rows, columns);
  Rng rng(seed);
  for (int64_t i = 0; i < rows * columns; ++i) X.data()[i] = rng.Normal();
  return X;
}

absl::StatusOr<DataSet> ReadSet(const fs::path& path) {
  const absl::StatusOr<table::CsvFile> file = table::ReadCsvFile(path.string());
  if (!file.ok()) return Annotate(file.status(), path.string());
  std::vector<const table::Column*> columns;
  for (const table::Column& column : file->table.columns) {
    if (column.name != "label" && column.type == table::ColumnType::kNumeric) columns.push_back(&column);
  }
  const std::string name = path.filename().string();
  DataSet set{name.substr(0, name.find('.')), Matrix(file->table.rows(), static_cast<int64_t>(columns.size()))};
  for (size_t j = 0; j < columns.size(); ++j) {
    std::copy(columns[j]->values.begin(), columns[j]->values.end(), set.X.col(static_cast<int64_t>(j)).begin());
  }
  return set;
}

absl::StatusOr<std::vector<const outlier::Descriptor*>> ChosenAlgorithms(const std::string& names) {
  const outlier::Catalog catalog({outlier::AllAlgorithms(), boosting::Algorithms(), neural::Algorithms()});
  if (names == "all") {
    const outlier::Catalog without_torch({outlier::AllAlgorithms()});
    return std::vector<const outlier::Descriptor*>(without_torch.all().begin(), without_torch.all().end());
  }
  std::vector<const outlier::Descriptor*> out;
  if (names == "every") out.assign(catalog.all().begin(), catalog.all().end());
  std::istringstream in(names == "every" ? std::string() : names);
  for (std::string name; std::getline(in, name, ',');) {
    ASSIGN_OR_RETURN(const outlier::Descriptor* found, catalog.Find(name));
    out.push_back(found);
  }
  return out;
}

}  // namespace vedette::bench
