#include "outlier/decision.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/status.h"

namespace vedette::outlier {

absl::Status Check(const DecisionOptions& options) {
  constexpr double kMostTolerance = 700;  // exp(-T) of a larger one is no number
  if (!(options.false_discovery_rate >= 0 && options.false_discovery_rate < 1)) {
    return InvalidArgument("false_discovery_rate is {}: must be in (0, 1), or 0 for the threshold",
                           options.false_discovery_rate);
  }
  if (!(options.rejection_tolerance >= 0 && options.rejection_tolerance <= kMostTolerance)) {
    return InvalidArgument("rejection_tolerance is {}: must be in (0, {}], or 0 for none", options.rejection_tolerance,
                           kMostTolerance);
  }
  return absl::OkStatus();
}

void Decide(const ScoreScale& scale, const DecisionOptions& options, std::span<RowScore> rows) {
  if (options.false_discovery_rate > 0) {
    std::vector<double> scores;
    for (const RowScore& row : rows) scores.push_back(row.score);
    const std::vector<bool> found = scale.Discoveries(scores, options.false_discovery_rate);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].anomaly = found[i];
      rows[i].severity = found[i] ? std::max(Severity::kLow, scale.SeverityOf(rows[i].score)) : Severity::kNone;
    }
  }
  if (options.rejection_tolerance <= 0) return;
  for (RowScore& row : rows) row.rejected = scale.Rejects(row.score, options.rejection_tolerance);
}

}  // namespace vedette::outlier
