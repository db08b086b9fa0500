// Algorithms of the catalog beside their peers. What is timed is processor time on one thread, the least of some
// repeats: Fit, which gives the training scores, and Score of the same rows.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <vector>

#include "base/status.h"
#include "bench/bench.h"
#include "bench/peers.h"

namespace vedette::bench {
namespace {

using outlier::Descriptor;
namespace fs = std::filesystem;

constexpr int64_t kThinnedRows = 20000;
constexpr std::string_view kSklearn[] = {"iforest", "knn", "lof", "pca"};

/// Every (n / rows)-th row: what the recorded times of large sets were measured on.
Matrix Thinned(const Matrix& X, int64_t rows) {
  Matrix out(rows, X.cols());
  for (int64_t j = 0; j < X.cols(); ++j) {
    for (int64_t i = 0; i < rows; ++i) out(i, j) = X(i * X.rows() / rows, j);
  }
  return out;
}

struct Times {
  double fit = 0, score = 0;
};

absl::StatusOr<Times> Ours(const Descriptor& algorithm, MatrixView X, int repeats) {
  const absl::StatusOr<outlier::ParamSet> params = outlier::ParamSet::Make(algorithm.params, {});
  if (!params.ok()) return params.status();
  absl::Status status;
  Times times;
  std::unique_ptr<outlier::Detector> detector;
  times.fit = BestOf(repeats, [&] {
    detector = algorithm.make(*params);
    status = detector->Fit(X, {});
  });
  if (!status.ok()) return Annotate(status, algorithm.name);
  std::vector<double> scores(static_cast<size_t>(X.rows));
  times.score = BestOf(repeats, [&] { status.Update(detector->Score(X, scores, {})); });
  if (!status.ok()) return Annotate(status, algorithm.name);
  return times;
}

void PrintHeader() {
  fmt::print("{:<16} {:<18} {:>7} {:>4} {:>10} {:>10}  {:<22} {:>10} {:>8}\n", "algorithm", "set", "n", "d", "fit s", "score s", "peer",
             "peer s", "ratio");
}

void PrintLine(std::string_view algorithm, std::string_view set, MatrixView X, const Times& ours, std::string_view peer,
               double seconds, double ratio) {
  fmt::print("{:<16} {:<18} {:>7} {:>4} {:>10.5f} {:>10.5f}  {:<22} {:>10.5f} {:>7.1f}x\n", algorithm, set, X.rows, X.cols, ours.fit,
             ours.score, peer, seconds, ratio);
  std::fflush(stdout);
}

/// The ratios to PyOD of one algorithm, one per set.
struct Ratios {
  std::vector<double> all;
  double least = 0;  ///< at 5000 rows and more
  std::string least_set;
};

class Run {
 public:
  Run(std::vector<const Descriptor*> algorithms, int repeats, bool sklearn, std::map<std::string, Recorded> recorded)
      : algorithms_(std::move(algorithms)), repeats_(repeats), sklearn_(sklearn), recorded_(std::move(recorded)) {}

  absl::Status Set(const DataSet& set) {
    RETURN_IF_ERROR(AgainstSklearn(set));
    for (const Descriptor* algorithm : algorithms_) {
      const auto record = recorded_.find(set.name + " " + std::string(PyodName(algorithm->name)));
      if (record == recorded_.end() || record->second.rows > set.X.rows()) continue;
      const bool thinned = record->second.rows == kThinnedRows && set.X.rows() > kThinnedRows;
      if (!thinned && record->second.rows != set.X.rows()) continue;
      const Matrix part = thinned ? Thinned(set.X, kThinnedRows) : Matrix();
      const MatrixView X = thinned ? part.view() : set.X.view();
      const absl::StatusOr<Times> ours = Ours(*algorithm, X, repeats_);
      if (!ours.ok()) {
        fmt::print("{:<16} {:<18} {}\n", algorithm->name, set.name, Message(ours.status()));
        continue;
      }
      const double theirs = record->second.fit + record->second.score, ratio = theirs / (ours->fit + ours->score);
      PrintLine(algorithm->name, set.name, X, *ours, "PyOD recorded", theirs, ratio);
      Ratios& r = ratios_[std::string(algorithm->name)];
      r.all.push_back(ratio);
      if (X.rows >= 5000 && (r.least_set.empty() || ratio < r.least)) {
        r.least = ratio;
        r.least_set = set.name;
      }
    }
    return absl::OkStatus();
  }

  /// Per algorithm the median over the sets and the least of the large ones; then the median over the algorithms.
  void PrintSummary() {
    if (ratios_.empty()) return;
    fmt::print("\nFit + score, PyOD's processor seconds over ours\n{:<16} {:>5} {:>10} {:>16}\n", "algorithm", "sets", "median",
               "least, n >= 5000");
    std::vector<double> medians;
    for (auto& [name, r] : ratios_) {
      std::sort(r.all.begin(), r.all.end());
      medians.push_back(r.all[r.all.size() / 2]);
      fmt::print("{:<16} {:>5} {:>9.1f}x {}\n", name, r.all.size(), medians.back(),
                 r.least_set.empty() ? "" : fmt::format("{:>15.1f}x on {}", r.least, r.least_set));
    }
    std::sort(medians.begin(), medians.end());
    fmt::print("median over {} algorithms: {:.1f}x\n", medians.size(), medians[medians.size() / 2]);
  }

 private:
  absl::Status AgainstSklearn(const DataSet& set) {
    if (!sklearn_) return absl::OkStatus();
    std::vector<const Descriptor*> shared;
    std::string names;
    for (const Descriptor* algorithm : algorithms_) {
      if (std::find(std::begin(kSklearn), std::end(kSklearn), algorithm->name) == std::end(kSklearn)) continue;
      // All pairs of a large set take minutes.
      if ((algorithm->name == "knn" || algorithm->name == "lof") && set.X.rows() > 100000) continue;
      shared.push_back(algorithm);
      names += (names.empty() ? "" : ",") + std::string(algorithm->name);
    }
    if (shared.empty()) return absl::OkStatus();
    const auto theirs = Sklearn(set.X, names, std::min(repeats_, 3));
    for (const Descriptor* algorithm : shared) {
      const bool neighbours = algorithm->name == "knn" || algorithm->name == "lof";
      ASSIGN_OR_RETURN(const Times ours, Ours(*algorithm, set.X, repeats_));
      if (const auto peer = theirs.find(std::string(algorithm->name)); peer != theirs.end()) {
        // scikit-learn's isolation forest does not score what it is fitted on.
        const bool both = algorithm->name == "iforest";
        PrintLine(algorithm->name, set.name, set.X, ours, both ? "scikit-learn fit+score" : "scikit-learn fit", peer->second,
                  peer->second / (both ? ours.fit + ours.score : ours.fit));
      }
      if (!neighbours) continue;
      // One more than k: faiss finds the row itself.
      const double faiss = FaissSeconds(set.X, algorithm->name == "knn" ? 6 : 21, std::min(repeats_, 3));
      if (faiss > 0) PrintLine(algorithm->name, set.name, set.X, ours, "faiss-flat search", faiss, faiss / ours.fit);
    }
    return absl::OkStatus();
  }

  std::vector<const Descriptor*> algorithms_;
  int repeats_;
  bool sklearn_;
  std::map<std::string, Recorded> recorded_;
  std::map<std::string, Ratios> ratios_;
};

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
  ASSIGN_OR_RETURN(std::vector<const Descriptor*> algorithms, ChosenAlgorithms(flags->Text("algorithms")));
  // What learns from labels has no peer here.
  std::erase_if(algorithms, [](const Descriptor* d) { return d->needs_labels; });
  std::map<std::string, Recorded> recorded;
  if (!flags->Text("oracle").empty()) {
    ASSIGN_OR_RETURN(recorded, ReadRecorded(flags->Text("oracle")));
  }
  Run run(std::move(algorithms), static_cast<int>(*repeats), flags->Text("sklearn") == "yes", std::move(recorded));
  PrintHeader();
  std::istringstream shapes(flags->Text("synthetic"));
  for (std::string shape; std::getline(shapes, shape, ',');) {
    long long n = 0, d = 0;
    if (std::sscanf(shape.c_str(), "%lldx%lld", &n, &d) != 2 || n < 1 || d < 1 || n > 100000000 / d) {
      return InvalidArgument("--synthetic '{}' is not ROWSxCOLUMNS of at most 1e8 cells", shape);
    }
    RETURN_IF_ERROR(run.Set({fmt::format("normal {}x{}", n, d), Normal(n, d)}));
  }
  if (flags->Text("data").empty()) return absl::OkStatus();  // recorded times are of real sets
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
  run.PrintSummary();
  return absl::OkStatus();
}

}  // namespace vedette::bench
