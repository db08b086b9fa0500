// One row at a time through a fitted detector, beside what was recorded of PyOD on the same set (cardio, 1831 x 21).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/status.h"
#include "bench/bench.h"
#include "bench/peers.h"

namespace vedette::bench {
namespace {

/// Of scoring one row, over `calls` rows of X: the median of the seconds that passed, and the mean of the processor's,
/// which other work on the machine does not lengthen and which is what was recorded of PyOD.
struct Latency {
  double median = 0, cpu = 0;
};

absl::StatusOr<Latency> OneRow(const outlier::Detector& detector, MatrixView X, int64_t calls) {
  std::vector<double> seconds;
  double score = 0;
  const double before = CpuSeconds();
  for (int64_t i = 0; i < calls; ++i) {
    const auto start = std::chrono::steady_clock::now();
    RETURN_IF_ERROR(detector.Score(X.Rows(i % X.rows, 1), {&score, 1}, {}));
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const double cpu = (CpuSeconds() - before) / static_cast<double>(calls);
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<int64_t>(seconds.size()) / 2, seconds.end());
  return Latency{seconds[seconds.size() / 2], cpu};
}

}  // namespace

absl::Status RunLatency(std::span<char* const> args) {
  ASSIGN_OR_RETURN(const Flags flags,
                   Flags::Parse(args, {{"data", ""}, {"oracle", ""}, {"algorithms", "all"}, {"calls", "2000"}}));
  ASSIGN_OR_RETURN(const int64_t calls, flags.Int("calls", 1, 10000000));
  ASSIGN_OR_RETURN(const auto algorithms, ChosenAlgorithms(flags.Text("algorithms")));
  DataSet set{"normal 1831x21", Normal(1831, 21)};
  std::map<std::string, double> recorded;
  if (!flags.Text("data").empty()) {
    ASSIGN_OR_RETURN(set, ReadSet(std::filesystem::path(flags.Text("data")) / "cardio.csv"));
  }
  if (!flags.Text("oracle").empty()) {
    ASSIGN_OR_RETURN(recorded, ReadLatencies(flags.Text("oracle")));
  }
  fmt::print("One row at a time, {}\n{:<16} {:>12} {:>12} {:>14} {:>9}\n", set.name, "algorithm", "median us",
             "mean cpu us", "PyOD cpu us", "ratio");
  double least = 0;
  std::string_view least_name;
  for (const outlier::Descriptor* algorithm : algorithms) {
    const auto params = outlier::ParamSet::Make(algorithm->params, {});
    if (!params.ok() || algorithm->needs_labels) continue;
    const auto detector = algorithm->make(*params);
    if (const absl::Status fitted = detector->Fit(set.X, {}); !fitted.ok()) {
      fmt::print("{:<16} {}\n", algorithm->name, Message(fitted));
      continue;
    }
    ASSIGN_OR_RETURN(const Latency latency, OneRow(*detector, set.X, calls));
    const auto peer = recorded.find(std::string(PyodName(algorithm->name)));
    if (peer == recorded.end()) {
      fmt::print("{:<16} {:>12.2f} {:>12.2f}\n", algorithm->name, 1e6 * latency.median, 1e6 * latency.cpu);
      continue;
    }
    const double ratio = 1e-3 * peer->second / latency.cpu;
    fmt::print("{:<16} {:>12.2f} {:>12.2f} {:>14.1f} {:>8.0f}x\n", algorithm->name, 1e6 * latency.median,
               1e6 * latency.cpu, 1e3 * peer->second, ratio);
    std::fflush(stdout);
    if (least_name.empty() || ratio < least) {
      least = ratio;
      least_name = algorithm->name;
    }
  }
  if (!least_name.empty()) fmt::print("least: {:.0f}x ({})\n", least, least_name);
  return absl::OkStatus();
}

}  // namespace vedette::bench
