#include "selection/validate.h"

#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/status.h"

namespace vedette::selection {
namespace {

struct Family {
  std::string law, anomaly;
};

/// Columns [begin, end) of the matrix that a choice is made among.
struct Choices {
  size_t begin = 0, end = 0;
};

class Validation {
 public:
  Validation(const outlier::SelectionMatrix& matrix, std::vector<Family> families)
      : matrix_(matrix),
        families_(std::move(families)),
        singles_{0, outlier::SelectionCandidates().size()},
        designs_{singles_.end, singles_.end + outlier::ConsensusDesigns().size() - 1} {}

  void Print() const {
    fmt::print("{:<12} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "", "tables", "auto", "chosen", "ensemble",
               "single", "nearest", "best");
    std::set<std::string> laws, anomalies;
    for (const Family& f : families_) laws.insert(f.law), anomalies.insert(f.anomaly);
    for (const std::string& law : laws) Line(law, [&](const Family& f) { return f.law == law; });
    fmt::print("\n");
    for (const std::string& anomaly : anomalies) Line(anomaly, [&](const Family& f) { return f.anomaly == anomaly; });
    fmt::print("\n");
    Line("all", [](const Family&) { return true; });
    fmt::print("\nmeans over all tables:\n");
    for (size_t c = 0; c < matrix_.candidates.size(); ++c) {
      double sum = 0;
      for (const auto& row : matrix_.quality) sum += row[c];
      fmt::print("  {:.4f} {}\n", sum / static_cast<double>(matrix_.quality.size()), matrix_.candidates[c]);
    }
  }

 private:
  /// Best on average among the tables of other laws and other kinds of anomalies.
  size_t ChosenWithout(const Family& family, Choices among) const {
    std::vector<double> sums(among.end, 0);
    for (size_t t = 0; t < families_.size(); ++t) {
      if (families_[t].law == family.law || families_[t].anomaly == family.anomaly) continue;
      for (size_t c = among.begin; c < among.end; ++c) sums[c] += matrix_.quality[t][c];
    }
    return static_cast<size_t>(std::max_element(sums.begin() + static_cast<int64_t>(among.begin), sums.end()) -
                               sums.begin());
  }
  /// The single detector that the nearest tables of other families speak for.
  size_t NearestWithout(size_t table) const {
    outlier::SelectionMatrix others{matrix_.candidates, {}, {}, {}};
    for (size_t t = 0; t < families_.size(); ++t) {
      if (families_[t].law == families_[table].law || families_[t].anomaly == families_[table].anomaly) continue;
      others.tables.push_back(matrix_.tables[t]);
      others.features.push_back(matrix_.features[t]);
      others.quality.push_back(matrix_.quality[t]);
    }
    const std::vector<double> expected = outlier::ExpectedQuality(others, matrix_.features[table]);
    return static_cast<size_t>(
        std::max_element(expected.begin(), expected.begin() + static_cast<int64_t>(singles_.end)) - expected.begin());
  }
  template <typename In>
  void Line(const std::string& name, In in) const {
    double count = 0, fixed = 0, chosen = 0, plain = 0, single = 0, nearest = 0, best = 0;
    for (size_t t = 0; t < families_.size(); ++t) {
      if (!in(families_[t])) continue;
      const std::vector<double>& quality = matrix_.quality[t];
      ++count;
      fixed += quality[designs_.begin];
      chosen += quality[ChosenWithout(families_[t], designs_)];
      plain += quality[designs_.end];
      single += quality[ChosenWithout(families_[t], singles_)];
      nearest += quality[NearestWithout(t)];
      best += *std::max_element(quality.begin(), quality.begin() + static_cast<int64_t>(singles_.end));
    }
    fmt::print("{:<12} {:>6} {:>8.4f} {:>8.4f} {:>8.4f} {:>8.4f} {:>8.4f} {:>8.4f}\n", name, count, fixed / count,
               chosen / count, plain / count, single / count, nearest / count, best / count);
    std::fflush(stdout);
  }

  const outlier::SelectionMatrix& matrix_;
  const std::vector<Family> families_;
  const Choices singles_, designs_;
};

}  // namespace

absl::Status PrintValidation(const outlier::SelectionMatrix& matrix) {
  std::vector<Family> families;
  for (const std::string& name : matrix.tables) {
    const std::vector<std::string> parts = absl::StrSplit(name, '/');
    if (parts.size() != 3) return InvalidArgument("table '{}' is not named law/anomaly/round", name);
    families.push_back({parts[0], parts[1]});
  }
  if (matrix.candidates.size() != outlier::SelectionCandidates().size() + outlier::ConsensusDesigns().size()) {
    return absl::InvalidArgumentError("the matrix has other columns than this program: make it anew");
  }
  Validation(matrix, std::move(families)).Print();
  return absl::OkStatus();
}

}  // namespace vedette::selection
