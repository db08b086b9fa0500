// vedette-selection matrix            the benchmark matrix as CSV on standard output
// vedette-selection validate          the designs of the consensus on the compiled-in matrix, leaving families out
// vedette-selection quality FILE...   per labelled table: what `auto` takes, its ROC AUC, and the single algorithms'
#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>

#include "base/status.h"
#include "base/thread_pool.h"
#include "cli/evaluation.h"
#include "cli/input.h"
#include "outlier/combination.h"
#include "outlier/metrics.h"
#include "outlier/registry.h"
#include "outlier/selection.h"
#include "selection/families.h"
#include "selection/validate.h"

namespace vedette::selection {
namespace {

constexpr int kRounds = 2;
constexpr int64_t kMostRows = 50000;

/// ROC AUC of the ensemble with these parameters.
absl::StatusOr<double> Quality(const std::map<std::string, std::string>& params, MatrixView X,
                               const std::vector<uint8_t>& labels) {
  ASSIGN_OR_RETURN(auto detector, outlier::MakeMember("ensemble", params));
  RETURN_IF_ERROR(detector->Fit(X, Context{}));
  return outlier::RocAuc(detector->training_scores(), labels);
}

/// The same of one detector, written as a member.
absl::StatusOr<double> Quality(const std::string& member, MatrixView X, const std::vector<uint8_t>& labels) {
  return Quality({{"members", member}, {"combine", "average"}}, X, labels);
}

/// Members fitted on one table, each once: designs of the consensus share most of them.
class Fits {
 public:
  explicit Fits(const SyntheticSet& set) : set_(set) {}

  absl::StatusOr<double> OfMember(const std::string& member) {
    ASSIGN_OR_RETURN(const std::vector<double>* scores, Scores(member));
    return outlier::RocAuc(*scores, set_.labels);
  }
  /// As `ensemble` combines by upper_rank.
  absl::StatusOr<double> OfDesign(const std::map<std::string, std::string>& params) {
    ASSIGN_OR_RETURN(const auto detector, outlier::MakeMember("ensemble", params));  // checks the parameters
    const std::string members = params.contains("members") ? params.at("members") : DefaultMembers();
    double power = 4;
    if (params.contains("power")) (void)absl::SimpleAtod(params.at("power"), &power);
    std::vector<std::vector<double>> voices;
    const absl::string_view parted = members.find('/') == std::string::npos ? "+" : "/";
    for (const absl::string_view kind : absl::StrSplit(members, parted)) {
      const std::vector<std::string> names = absl::StrSplit(kind, '+');
      std::vector<double> voice(set_.labels.size(), 0);
      for (const std::string& name : names) {
        ASSIGN_OR_RETURN(const std::vector<double>* scores, Scores(name));
        std::vector<double> sorted = *scores;
        std::sort(sorted.begin(), sorted.end());
        for (size_t i = 0; i < voice.size(); ++i)
          voice[i] += outlier::RankAmong((*scores)[i], sorted) / static_cast<double>(names.size());
      }
      voices.push_back(std::move(voice));
    }
    std::vector<double> together(set_.labels.size()), row(voices.size());
    for (size_t i = 0; i < together.size(); ++i) {
      for (size_t v = 0; v < row.size(); ++v) row[v] = voices[v][i];
      together[i] = outlier::UpperRank(row, power);
    }
    return outlier::RocAuc(together, set_.labels);
  }

 private:
  static std::string DefaultMembers() {
    for (const outlier::Descriptor* d : outlier::AllAlgorithms()) {
      if (d->name != "ensemble") continue;
      for (const outlier::ParamSpec& p : d->params) {
        if (p.name == "members") return std::string(p.default_value);
      }
    }
    return "";
  }
  absl::StatusOr<const std::vector<double>*> Scores(const std::string& member) {
    const auto at = scores_.find(member);
    if (at != scores_.end()) return &at->second;
    ASSIGN_OR_RETURN(auto detector, outlier::MakeMember("ensemble", {{"members", member}, {"combine", "average"}}));
    RETURN_IF_ERROR(detector->Fit(set_.X.view(), Context{}));
    const auto scores = detector->training_scores();
    return &scores_.emplace(member, std::vector<double>(scores.begin(), scores.end())).first->second;
  }

  const SyntheticSet& set_;
  std::map<std::string, std::vector<double>> scores_;
};

/// One line of the matrix.
absl::StatusOr<std::string> MatrixLine(const SyntheticSet& set) {
  Fits fits(set);
  std::string line = set.name;
  for (const double f : outlier::MetaFeatures(outlier::ProfileOf(set.X.view()))) line += fmt::format(",{:.4g}", f);
  for (const auto& candidate : outlier::SelectionCandidates()) {
    ASSIGN_OR_RETURN(const double auc, fits.OfMember(candidate));
    line += fmt::format(",{:.4f}", auc);
  }
  for (const auto& design : outlier::ConsensusDesigns()) {
    ASSIGN_OR_RETURN(const double auc, fits.OfDesign(design.params));
    line += fmt::format(",{:.4f}", auc);
  }
  return line;
}

absl::Status WriteMatrix() {
  constexpr int kTables = kLaws * kAnomalies * kRounds;
  std::vector<absl::StatusOr<std::string>> lines(kTables, absl::UnknownError(""));
  ThreadPool pool(AvailableCpus());
  ParallelFor(&pool, kTables, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const SyntheticSet set = MakeSet(static_cast<Law>(t / kRounds / kAnomalies),
                                       static_cast<Anomaly>(t / kRounds % kAnomalies), static_cast<int>(t % kRounds));
      lines[static_cast<size_t>(t)] = MatrixLine(set);
      if (!lines[static_cast<size_t>(t)].ok())
        lines[static_cast<size_t>(t)] = Annotate(lines[static_cast<size_t>(t)].status(), set.name);
    }
  });
  fmt::print("table");
  for (const auto name : outlier::MetaFeatureNames()) fmt::print(",{}", name);
  for (const auto& candidate : outlier::SelectionCandidates()) fmt::print(",{}", candidate);
  for (const auto& design : outlier::ConsensusDesigns()) fmt::print(",{}", design.name);
  fmt::print("\n");
  for (const auto& line : lines) {
    RETURN_IF_ERROR(line.status());
    fmt::print("{}\n", *line);
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
  return cli::SplitLabels(sample.table,
                          {.column = sample.table.columns.back().name, .positive = "", .ignore_columns = {}});
}

/// What `auto` chose, in a few words.
std::string Words(const outlier::Selection& selection) {
  if (selection.algorithm != "ensemble") return selection.algorithm;
  const std::string& members = selection.params.at("members");
  return fmt::format("{} kinds, {} members", 1 + std::count(members.begin(), members.end(), '/'),
                     1 + std::count_if(members.begin(), members.end(), [](char c) { return c == '/' || c == '+'; }));
}

/// auto first, then each candidate, then the default ensemble.
absl::StatusOr<std::vector<double>> QualityOfAll(const cli::LabelledData& data, const outlier::Selection& selection) {
  std::vector<double> out(1);
  if (selection.algorithm == "ensemble") {
    ASSIGN_OR_RETURN(out[0], Quality(selection.params, data.X.view(), data.labels));
  } else {
    std::string member = selection.algorithm;
    for (const auto& [name, value] : selection.params) member += fmt::format(":{}={}", name, value);
    ASSIGN_OR_RETURN(out[0], Quality(member, data.X.view(), data.labels));
  }
  for (const auto& candidate : outlier::SelectionCandidates()) {
    ASSIGN_OR_RETURN(out.emplace_back(), Quality(candidate, data.X.view(), data.labels));
  }
  ASSIGN_OR_RETURN(out.emplace_back(), Quality(std::map<std::string, std::string>{}, data.X.view(), data.labels));
  return out;
}

absl::Status PrintQuality(std::span<char* const> files) {
  const auto& candidates = outlier::SelectionCandidates();
  std::vector<double> sums(candidates.size() + 2, 0);
  double best_per_set = 0;
  for (const char* file : files) {
    ASSIGN_OR_RETURN(const cli::LabelledData data, Read(file));
    const outlier::Selection selection = outlier::Select(outlier::ProfileOf(data.X.view()));
    ASSIGN_OR_RETURN(const std::vector<double> quality, QualityOfAll(data, selection));
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += quality[i];
    const auto best = std::max_element(quality.begin() + 1, quality.end() - 1);
    best_per_set += *best;
    fmt::print("{:<14} auto {:.4f} ({})  best single {:.4f} {:<12.12} ensemble {:.4f}\n",
               std::filesystem::path(file).stem().string(), quality[0], Words(selection), *best,
               candidates[static_cast<size_t>(best - quality.begin()) - 1], quality.back());
    std::fflush(stdout);
  }
  const auto n = static_cast<double>(files.size());
  const auto best = std::max_element(sums.begin() + 1, sums.end() - 1);
  fmt::print("\nmean ROC AUC over {} tables: auto {:.4f}, ensemble {:.4f}, best single per table {:.4f}\n",
             files.size(), sums[0] / n, sums.back() / n, best_per_set / n);
  for (size_t c = 0; c < candidates.size(); ++c) fmt::print("  {:.4f} {}\n", sums[c + 1] / n, candidates[c]);
  fmt::print("auto over the best single algorithm's mean ({}): {:+.4f}\n",
             candidates[static_cast<size_t>(best - sums.begin()) - 1], (sums[0] - *best) / n);
  return absl::OkStatus();
}

}  // namespace
}  // namespace vedette::selection

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  absl::Status status;
  if (what == "matrix" && argc == 2) {
    status = vedette::selection::WriteMatrix();
  } else if (what == "validate" && argc == 2) {
    status = vedette::selection::PrintValidation(vedette::outlier::BuiltInMatrix());
  } else if (what == "quality" && argc > 2) {
    status = vedette::selection::PrintQuality({argv + 2, static_cast<size_t>(argc - 2)});
  } else {
    fmt::print(stderr, "usage: vedette-selection matrix | validate | quality FILE... (the label is the last column)\n");
    return 2;
  }
  if (status.ok()) return 0;
  fmt::print(stderr, "vedette-selection: {}\n", vedette::Message(status));
  return 1;
}
