// vedette-bench BENCH [--flag value ...]: see README.md.
#include <fmt/format.h>

#include <cstdio>

#include "base/status.h"
#include "bench/bench.h"
#include "bench/csv_bench.h"

namespace vedette::bench {
namespace {

absl::Status RunCsv(std::span<char* const> args) {
  absl::StatusOr<Flags> flags = Flags::Parse(args, {{"megabytes", "64"}, {"repeats", "3"}, {"seed", "42"}});
  if (!flags.ok()) return flags.status();
  const absl::StatusOr<int64_t> megabytes = flags->Int("megabytes", 1, 2000), repeats = flags->Int("repeats", 1, 100),
                                seed = flags->Int("seed", 0, 1 << 30);
  for (const auto* number : {&megabytes, &repeats, &seed}) RETURN_IF_ERROR(number->status());
  const auto timings = MeasureCsv(*megabytes * 1000000, static_cast<int>(*repeats), static_cast<uint64_t>(*seed));
  if (!timings.ok()) return timings.status();
  fmt::print("{:<44} {:<12} {:>9} {:>10} {:>8}\n", "csv text", "into", "rows", "cpu s", "MB/s");
  for (const CsvTiming& t : *timings) {
    fmt::print("{:<44} {:<12} {:>9} {:>10.3f} {:>8.0f}\n", t.what, t.whole_table ? "one table" : "batches", t.rows,
               t.seconds, t.megabytes_per_second());
  }
  return absl::OkStatus();
}

struct Bench {
  std::string_view name, summary;
  absl::Status (*run)(std::span<char* const> args);
};
constexpr Bench kBenches[] = {
    {"algorithms", "fit and score against scikit-learn in the same run, and against recorded times of PyOD", RunAlgorithms},
    {"latency", "one row at a time through a fitted detector, against recorded times of PyOD", RunLatency},
    {"growth", "how the cost of a fit grows with rows: table, plot and fitted exponent", RunGrowth},
    {"cancel", "how soon fits and scorings end that are told to stop", RunCancel},
    {"explain", "TreeSHAP, KernelSHAP and native explanations against recorded times of shap", RunExplain},
    {"neural", "neural algorithms against PyTorch in the same run: same networks, data, epochs and batches", RunNeural},
    {"csv", "CSV text into columns, MB/s of one core", RunCsv},
#ifdef VEDETTE_PLATFORM
    {"cache", "what the model cache saves, against a running platform", RunCache},
#endif
};

}  // namespace
}  // namespace vedette::bench

int main(int argc, char** argv) {
  for (const vedette::bench::Bench& bench : vedette::bench::kBenches) {
    if (argc < 2 || bench.name != argv[1]) continue;
    const absl::Status status = bench.run({argv + 2, static_cast<size_t>(argc - 2)});
    if (status.ok()) return 0;
    fmt::print(stderr, "vedette-bench {}: {}\n", bench.name, vedette::Message(status));
    return 1;
  }
  fmt::print(stderr, "usage: vedette-bench BENCH [--flag value ...]\n");
  for (const vedette::bench::Bench& bench : vedette::bench::kBenches) {
    fmt::print(stderr, "  {:<12} {}\n", bench.name, bench.summary);
  }
  return 2;
}
