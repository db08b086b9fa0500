#include "outlier/selection.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/status.h"
#include "outlier/registry.h"

namespace vedette::outlier {

extern const std::string_view kSelectionMatrixCsv;

namespace {

constexpr int64_t kSmallTable = 50, kManyFeatures = 1000;
constexpr size_t kNearest = 25, kPicks = 3;
constexpr double kShrinkage = 0.25;
/// A kind of detector: what it always has, and the same at half and at twice its size, which nobody knows for a table
/// (trees: splits across columns instead).
struct Kind {
  std::string_view usual, further;
};
constexpr Kind kKinds[] = {
    {"iforest", "extended_iforest"},
    {"knn_mean:n_neighbors=50:scale=standard",
     "knn_mean:n_neighbors=25:scale=standard+knn_mean:n_neighbors=100:scale=standard"},
    {"inne", "inne:max_samples=4+inne:max_samples=16"},
    {"cblof", "cblof:n_clusters=4+cblof:n_clusters=16"},
    {"mcd", ""},
};
/// Chosen on the synthetic tables (tools/selection).
constexpr std::string_view kPower = "16";

/// A member text, taken apart: what can be fitted by itself has no `scale`.
Pick PickOf(std::string_view member) {
  Pick pick;
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(member.data(), member.size()), ':');
  pick.algorithm = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    const std::string name = parts[i].substr(0, equals);
    if (name != "scale") pick.params[name] = parts[i].substr(equals + 1);
  }
  return pick;
}

Cost CostOf(const Pick& pick, const DataProfile& profile) {
  for (const Descriptor* d : AllAlgorithms()) {
    if (d->name != pick.algorithm) continue;
    const auto params = ParamSet::Make(d->params, pick.params);
    if (params.ok()) return d->cost(*params, profile.rows, profile.features);
  }
  return {};
}

double Seconds(const Cost& cost, const DataProfile& profile) {
  return cost.fit_seconds + cost.score_seconds_per_row * static_cast<double>(profile.rows);
}

Pick Consensus(const std::vector<const Kind*>& kinds, bool sizes) {
  std::string members;
  for (const Kind* kind : kinds) {
    if (!members.empty()) members.append(1, '/');
    members.append(kind->usual);
    if (sizes && !kind->further.empty()) members.append(1, '+').append(kind->further);
  }
  return {.algorithm = "ensemble",
          .params = {{"members", members}, {"power", std::string(kPower)}},
          .reason = "",
          .cost = {}};
}

/// All kinds in three sizes; where that is too dear in one size; then without the dearest kinds. Nothing when not even
/// two fit.
std::optional<Pick> AffordableConsensus(const DataProfile& profile, double budget) {
  std::vector<const Kind*> kinds;
  for (const Kind& kind : kKinds) kinds.push_back(&kind);
  const auto seconds = [&](const Pick& pick) { return Seconds(CostOf(pick, profile), profile); };
  Pick all = Consensus(kinds, true);
  if (seconds(all) <= budget) return all;
  while (kinds.size() >= 2) {
    Pick one = Consensus(kinds, false);
    if (seconds(one) <= budget) return one;
    kinds.erase(std::max_element(kinds.begin(), kinds.end(), [&](const Kind* a, const Kind* b) {
      return seconds(PickOf(a->usual)) < seconds(PickOf(b->usual));
    }));
  }
  return std::nullopt;
}

Selection Answer(std::vector<Pick> picks, const DataProfile& profile) {
  for (Pick& pick : picks) pick.cost = CostOf(pick, profile);
  return {picks[0].algorithm, picks[0].params, picks[0].reason, std::move(picks), {}};
}

/// Tables that need no comparison with others.
std::vector<Pick> ByRule(const DataProfile& profile) {
  const auto plain = [](std::initializer_list<const char*> names, const std::string& reason) {
    std::vector<Pick> picks;
    for (const char* name : names) picks.push_back({.algorithm = name, .params = {}, .reason = reason, .cost = {}});
    return picks;
  };
  if (profile.features == 1) {
    return plain({"mad", "zscore", "hbos"}, "a single column: the distance from its middle says it all");
  }
  if (profile.rows < kSmallTable) {
    return plain({"ecod", "copod", "knn"},
                 fmt::format("only {} rows: each column's own tails need no sampling and no parameters", profile.rows));
  }
  if (profile.features > kManyFeatures) {
    return plain(
        {"ecod", "hbos", "pca"},
        fmt::format("{} features: one pass over each column, where distances and random splits lose their meaning",
                    profile.features));
  }
  if (profile.categorical_share > 0.5) {
    return plain({"iforest", "hbos", "ecod"},
                 "most features come from categories: random splits need no distance between them");
  }
  return {};
}

/// In words, what made the nearest tables near.
std::string Character(const DataProfile& p) {
  std::string words = fmt::format("{} rows and {} columns", p.rows, p.features);
  if (p.correlation > 0.4) words += ", strongly correlated";
  if (p.skewness > 0.3) words += ", skewed";
  if (p.disagreement > 0.3) words += ", local and global methods disagree";
  if (p.discrete_share > 0.5) words += ", few distinct values";
  return words;
}

}  // namespace

absl::StatusOr<SelectionMatrix> ParseMatrix(std::string_view csv) {
  SelectionMatrix out;
  const size_t meta = MetaFeatureNames().size();
  size_t number = 0;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(csv.data(), csv.size()), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> cells = absl::StrSplit(line, ',');
    ++number;
    if (number == 1) {
      if (cells.size() < meta + 2) return InvalidArgument("line 1: {} columns are too few", cells.size());
      out.candidates.assign(cells.begin() + static_cast<int64_t>(meta) + 1, cells.end());
      continue;
    }
    if (cells.size() != 1 + meta + out.candidates.size())
      return InvalidArgument("line {}: {} cells", number, cells.size());
    std::vector<double> values(cells.size() - 1);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!absl::SimpleAtod(cells[i + 1], &values[i]) || !std::isfinite(values[i])) {
        return InvalidArgument("line {}: '{}' is not a number", number, cells[i + 1]);
      }
    }
    out.tables.push_back(cells[0]);
    out.features.emplace_back(values.begin(), values.begin() + static_cast<int64_t>(meta));
    out.quality.emplace_back(values.begin() + static_cast<int64_t>(meta), values.end());
  }
  if (out.tables.empty()) return absl::InvalidArgumentError("the matrix has no tables");
  return out;
}

const SelectionMatrix& BuiltInMatrix() {
  static const SelectionMatrix* const matrix = [] {
    auto parsed = ParseMatrix(kSelectionMatrixCsv);
    return new SelectionMatrix(parsed.ok() ? *std::move(parsed) : SelectionMatrix{});
  }();
  return *matrix;
}

const std::vector<std::string>& SelectionCandidates() {
  static const auto* const all = new std::vector<std::string>{"iforest",
                                                              "extended_iforest",
                                                              "knn_mean:n_neighbors=50:scale=standard",
                                                              "inne",
                                                              "cblof",
                                                              "mcd",
                                                              "hbos",
                                                              "copod",
                                                              "ecod",
                                                              "gmm",
                                                              "pca",
                                                              "knn:scale=standard",
                                                              "lof:scale=standard"};
  return *all;
}

const std::vector<ConsensusDesign>& ConsensusDesigns() {
  static const auto* const all = [] {
    std::vector<const Kind*> kinds;
    for (const Kind& kind : kKinds) kinds.push_back(&kind);
    const auto design = [&](std::string name, bool sizes, std::string power) {
      std::map<std::string, std::string> params = Consensus(kinds, sizes).params;
      params["power"] = std::move(power);
      return ConsensusDesign{std::move(name), std::move(params)};
    };
    return new std::vector<ConsensusDesign>{design("auto", true, std::string(kPower)),
                                            design("auto power 4", true, "4"),
                                            design("auto power 8", true, "8"),
                                            design("auto power 32", true, "32"),
                                            design("auto one size", false, std::string(kPower)),
                                            {"ensemble", {}}};
  }();
  return *all;
}

std::vector<double> ExpectedQuality(const SelectionMatrix& matrix, const DataProfile& profile) {
  return ExpectedQuality(matrix, MetaFeatures(profile));
}

std::vector<double> ExpectedQuality(const SelectionMatrix& matrix, const std::vector<double>& own) {
  const size_t tables = matrix.tables.size(), meta = MetaFeatureNames().size();
  std::vector<double> mean(matrix.candidates.size(), 0), near(matrix.candidates.size(), 0);
  if (tables == 0) return mean;
  std::vector<double> distance(tables, 0);
  for (size_t f = 0; f < meta; ++f) {
    double centre = 0, spread = 0;
    for (const auto& row : matrix.features) centre += row[f] / static_cast<double>(tables);
    for (const auto& row : matrix.features)
      spread += (row[f] - centre) * (row[f] - centre) / static_cast<double>(tables);
    if (!(spread > 0)) continue;
    for (size_t t = 0; t < tables; ++t)
      distance[t] += std::min(9.0, (matrix.features[t][f] - own[f]) * (matrix.features[t][f] - own[f]) / spread);
  }
  std::vector<size_t> order(tables);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return distance[a] < distance[b]; });
  double weights = 0;
  for (size_t k = 0; k < std::min(kNearest, tables); ++k) {
    const double weight = 1 / (0.5 + std::sqrt(distance[order[k]]));
    weights += weight;
    for (size_t c = 0; c < near.size(); ++c) near[c] += weight * matrix.quality[order[k]][c];
  }
  for (const auto& row : matrix.quality) {
    for (size_t c = 0; c < mean.size(); ++c) mean[c] += row[c] / static_cast<double>(tables);
  }
  for (size_t c = 0; c < near.size(); ++c) near[c] = (1 - kShrinkage) * near[c] / weights + kShrinkage * mean[c];
  return near;
}

Selection Select(const DataProfile& profile, const SelectOptions& options) {
  const SelectionMatrix& matrix = BuiltInMatrix();
  const std::vector<double> expected = ExpectedQuality(matrix, profile);
  const auto expectation = [&](const std::string& name) {
    for (size_t c = 0; c < expected.size(); ++c) {
      if (matrix.candidates[c] == name || PickOf(matrix.candidates[c]).algorithm == name) return expected[c];
    }
    return 0.0;
  };
  if (std::vector<Pick> plain = ByRule(profile); !plain.empty()) {
    for (Pick& pick : plain) pick.expected_quality = expectation(pick.algorithm);
    return Answer(std::move(plain), profile);
  }
  std::vector<Pick> picks;
  if (std::optional<Pick> together = AffordableConsensus(profile, options.budget_seconds)) {
    together->expected_quality = expectation("auto");
    together->reason = fmt::format(
        "{}: a consensus of different kinds of detectors is right more often than any one of them; on the most "
        "similar synthetic tables its mean ROC AUC is {:.2f}",
        Character(profile), together->expected_quality);
    picks.push_back(*std::move(together));
  }
  std::vector<size_t> order(SelectionCandidates().size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return expectation(SelectionCandidates()[a]) > expectation(SelectionCandidates()[b]);
  });
  for (const size_t c : order) {
    if (picks.size() == kPicks) break;
    Pick pick = PickOf(SelectionCandidates()[c]);
    if (Seconds(CostOf(pick, profile), profile) > options.budget_seconds / 4) continue;
    pick.expected_quality = expectation(SelectionCandidates()[c]);
    pick.reason = fmt::format("{}: on the most similar synthetic tables its mean ROC AUC is {:.2f}", Character(profile),
                              pick.expected_quality);
    picks.push_back(std::move(pick));
  }
  if (picks.empty()) {
    picks.push_back({.algorithm = "iforest",
                     .params = {},
                     .reason = fmt::format("{}: too many for the dearer ones; random splits need only a sample",
                                           Character(profile)),
                     .expected_quality = expectation("iforest"),
                     .cost = {}});
  }
  return Answer(std::move(picks), profile);
}

}  // namespace vedette::outlier
