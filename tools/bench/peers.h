// Peers to measure beside: what was recorded of PyOD, scikit-learn and faiss in processes of their own.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/matrix.h"
#include "outlier/registry.h"

namespace vedette::bench {

/// PyOD's class for one of our names, as the recorded times call it; "" when it has none.
std::string_view PyodName(std::string_view algorithm);

/// Processor seconds that PyOD took, on another machine of the same kind: read ratios to them with care.
struct Recorded {
  int64_t rows = 0;
  double fit = 0, score = 0;
};
/// "set detector" -> what pyod_benchmark.csv in `folder` has, of the lines that were measured raw and to the end.
absl::StatusOr<std::map<std::string, Recorded>> ReadRecorded(const std::filesystem::path& folder);

/// One-row scoring of a fitted detector on cardio: milliseconds of processor time, by PyOD's class.
absl::StatusOr<std::map<std::string, double>> ReadLatencies(const std::filesystem::path& folder);

/// Runs scikit-learn on X in a process of its own, one thread; algorithm -> processor seconds. Empty, with a line, where it
/// is not installed.
std::map<std::string, double> Sklearn(MatrixView X, const std::string& names, int repeats);

/// As Sklearn, of PyTorch: names as neural_peer.py takes them.
std::map<std::string, double> Torch(MatrixView X, const std::string& names, int repeats);

/// Processor seconds of faiss' exact search of each row's k nearest rows (float32, one thread); 0 where Debian's libfaiss was
/// absent when this was built.
double FaissSeconds(MatrixView X, int64_t k, int repeats);

/// A standard normal cloud.
Matrix Normal(int64_t rows, int64_t columns, uint64_t seed = 42);

struct DataSet {
  std::string name;
  Matrix X;
};
/// All numeric columns but `label`.
absl::StatusOr<DataSet> ReadSet(const std::filesystem::path& path);

/// Names with commas, "all" (but those whose fits take LibTorch or libxgboost), or "every".
absl::StatusOr<std::vector<const outlier::Descriptor*>> ChosenAlgorithms(const std::string& names);

}  // namespace vedette::bench
