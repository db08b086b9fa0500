// What the benches share: processor time, and command line flags.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace vedette::bench {

/// Seconds of processor time that this process has used, all threads together.
double CpuSeconds();

/// The least processor time of `repeats` runs; runs once only when a run takes over `enough` seconds.
double BestOf(int repeats, const std::function<void()>& run, double enough = 5);

/// --name=value or --name value; a name that is not in `known` (name -> default) is an error.
class Flags {
 public:
  static absl::StatusOr<Flags> Parse(std::span<char* const> args, std::map<std::string, std::string> known);
  const std::string& Text(const std::string& name) const { return values_.at(name); }
  absl::StatusOr<int64_t> Int(const std::string& name, int64_t min, int64_t max) const;

 private:
  std::map<std::string, std::string> values_;
};

/// Algorithms against scikit-learn in the same run, and against recorded processor times of PyOD.
absl::Status RunAlgorithms(std::span<char* const> args);

/// One-row scoring against recorded times of PyOD.
absl::Status RunLatency(std::span<char* const> args);

/// Seconds of a fit from 1 000 rows up, beside what the descriptors say.
absl::Status RunGrowth(std::span<char* const> args);

/// How soon fits and scorings end that are told to stop.
absl::Status RunCancel(std::span<char* const> args);

/// Explanations against recorded times of shap.
absl::Status RunExplain(std::span<char* const> args);

/// Neural algorithms against PyTorch in the same run.
absl::Status RunNeural(std::span<char* const> args);

/// What the model cache saves, against a running platform.
absl::Status RunCache(std::span<char* const> args);

}  // namespace vedette::bench
