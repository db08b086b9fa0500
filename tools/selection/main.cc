// vedette-selection matrix            the benchmark matrix as CSV on standard output
// vedette-selection quality FILE...   per labelled table: what `auto` takes, its ROC AUC, and the best single candidate
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "base/status.h"
#include "cli/evaluation.h"
#include "cli/input.h"
#include "outlier/metrics.h"
#include "outlier/registry.h"
#include "outlier/selection.h"
#include "selection/families.h"

namespace vedette::selection {
namespace {

constexpr int kRounds = 8;
constexpr int64_t kMostRows = 50000;

/// A member of `ensemble` as written there; `ensemble` itself is the one with its defaults.
absl::StatusOr<double> Quality(const std::string& candidate, const std::map<std::string, std::string>& params, MatrixView X,
                               const std::vector<uint8_t>& labels) {
  std::map<std::string, std::string> given = params;
  if (candidate != "ensemble") given = {{"members", candidate}, {"combine", "average"}};
  ASSIGN_OR_RETURN(auto detector, outlier::MakeMember("ensemble", given));
  RETURN_IF_ERROR(detector->Fit(X, Context{}));
  return outlier::RocAuc(detector->training_scores(), labels);
}

absl::Status WriteMatrix() {
  fmt::print("table");
  for (const auto name : outlier::MetaFeatureNames()) fmt::print(",{}", name);
  for (const auto& candidate : outlier::SelectionCandidates()) fmt::print(",{}", candidate);
  fmt::print("\n");
  for (int law = 0; law < kLaws; ++law) {
    for (int anomaly = 0; anomaly < kAnomalies; ++anomaly) {
      for (int round = 0; round < kRounds; ++round) {
        const SyntheticSet set = MakeSet(static_cast<Law>(law), static_cast<Anomaly>(anomaly), round);
        fmt::print("{}", set.name);
        for (const double f : outlier::MetaFeatures(outlier::ProfileOf(set.X.view()))) fmt::print(",{:.4g}", f);
        for (const auto& candidate : outlier::SelectionCandidates()) {
          const auto auc = Quality(candidate, {}, set.X.view(), set.labels);
          if (!auc.ok()) return Annotate(auc.status(), fmt::format("{} on {}", candidate, set.name));
          fmt::print(",{:.4f}", *auc);
        }
        fmt::print("\n");
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<cli::LabelledData> Read(const std::string& path) {
  ASSIGN_OR_RETURN(const cli::Input input, cli::Input::Open(path));
  cli::SampleOptions options;
  options.max_rows = kMostRows;
  options.memory_bytes = std::numeric_limits<int64_t>::max();
  options.quiet = true;
  ASSIGN_OR_RETURN(const cli::Sample sample, cli::ReadSample(input, options));
  return cli::SplitLabels(sample.table, {.column = sample.table.columns.back().name, .positive = "", .ignore_columns = {}});
}

absl::Status PrintQuality(std::span<char* const> files) {
  const auto& candidates = outlier::SelectionCandidates();
  std::vector<double> sums(candidates.size(), 0);
  double picked = 0, best_per_set = 0;
  std::string table;
  for (const char* file : files) {
    ASSIGN_OR_RETURN(const cli::LabelledData data, Read(file));
    const outlier::Selection selection = outlier::Select(outlier::ProfileOf(data.X.view()), {.budget_seconds = 600});
    std::string members = selection.algorithm == "ensemble" ? "ensemble" : selection.algorithm;
    for (const auto& [name, value] : selection.params) members += selection.algorithm == "ensemble" ? "" : fmt::format(":{}={}", name, value);
    ASSIGN_OR_RETURN(const double own, Quality(members, selection.params, data.X.view(), data.labels));
    double best = 0;
    std::string best_name;
    for (size_t c = 0; c < candidates.size(); ++c) {
      ASSIGN_OR_RETURN(const double auc, Quality(candidates[c], {}, data.X.view(), data.labels));
      sums[c] += auc;
      if (auc > best && candidates[c] != "ensemble") best = auc, best_name = candidates[c];
    }
    picked += own;
    best_per_set += best;
    const auto at = selection.params.find("members");
    fmt::print("{:<14} auto {:.4f}  best single {:.4f} {:<12.12} {}\n", std::filesystem::path(file).stem().string(), own, best, best_name,
               at == selection.params.end() ? selection.algorithm : at->second);
    std::fflush(stdout);
  }
  const auto n = static_cast<double>(files.size());
  fmt::print("\nmean ROC AUC over {} tables: auto {:.4f}, best per table {:.4f}\n", files.size(), picked / n, best_per_set / n);
  for (size_t c = 0; c < candidates.size(); ++c) fmt::print("  {:.4f} {}\n", sums[c] / n, candidates[c]);
  return absl::OkStatus();
}

}  // namespace
}  // namespace vedette::selection

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  absl::Status status;
  if (what == "matrix" && argc == 2) {
    status = vedette::selection::WriteMatrix();
  } else if (what == "quality" && argc > 2) {
    status = vedette::selection::PrintQuality({argv + 2, static_cast<size_t>(argc - 2)});
  } else {
    fmt::print(stderr, "usage: vedette-selection matrix | quality FILE... (the label is the last column)\n");
    return 2;
  }
  if (status.ok()) return 0;
  fmt::print(stderr, "vedette-selection: {}\n", vedette::Message(status));
  return 1;
}
