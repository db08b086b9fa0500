#include "outlier/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/status.h"
#include "outlier/threshold.h"

namespace vedette::outlier {
namespace {

absl::StatusOr<int64_t> CountPositives(std::span<const double> scores, std::span<const uint8_t> labels) {
  if (scores.size() != labels.size()) {
    return InvalidArgument("{} scores but {} labels", scores.size(), labels.size());
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!std::isfinite(scores[i])) return InvalidArgument("the score of row {} is not finite", i);
  }
  const int64_t positives = std::count_if(labels.begin(), labels.end(), [](uint8_t v) { return v != 0; });
  if (positives == 0) return InvalidArgument("no row is labelled as an anomaly");
  if (positives == static_cast<int64_t>(labels.size())) return InvalidArgument("every row is labelled as an anomaly");
  return positives;
}

/// Row numbers, highest score first; rows with equal scores in any order.
std::vector<int64_t> Descending(std::span<const double> scores) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  return order;
}

/// Calls step(rows of the group, anomalies of the group) for each group of equal scores, highest score first.
template <typename Step>
void ForEachTie(std::span<const double> scores, std::span<const uint8_t> labels, Step step) {
  const std::vector<int64_t> order = Descending(scores);
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    int64_t hits = 0;
    while (end < order.size() && scores[order[end]] == scores[order[begin]]) hits += labels[order[end++]] != 0;
    step(static_cast<int64_t>(end - begin), hits);
    begin = end;
  }
}

}  // namespace

absl::StatusOr<double> RocAuc(std::span<const double> scores, std::span<const uint8_t> labels) {
  ASSIGN_OR_RETURN(const int64_t positives, CountPositives(scores, labels));
  const int64_t negatives = static_cast<int64_t>(labels.size()) - positives;
  // Anomalies of a tie group beat every normal row below it and half of those in it.
  double wins = 0;
  int64_t normal_above = 0;
  ForEachTie(scores, labels, [&](int64_t rows, int64_t hits) {
    const int64_t normal = rows - hits;
    wins += static_cast<double>(hits) *
            (static_cast<double>(negatives - normal_above - normal) + 0.5 * static_cast<double>(normal));
    normal_above += normal;
  });
  return wins / (static_cast<double>(positives) * static_cast<double>(negatives));
}

absl::StatusOr<double> AveragePrecision(std::span<const double> scores, std::span<const uint8_t> labels) {
  ASSIGN_OR_RETURN(const int64_t positives, CountPositives(scores, labels));
  double sum = 0;
  int64_t seen = 0, found = 0;
  ForEachTie(scores, labels, [&](int64_t rows, int64_t hits) {
    seen += rows;
    found += hits;
    sum += static_cast<double>(hits) * (static_cast<double>(found) / static_cast<double>(seen));
  });
  return sum / static_cast<double>(positives);
}

absl::StatusOr<double> PrecisionAtN(std::span<const double> scores, std::span<const uint8_t> labels) {
  ASSIGN_OR_RETURN(const int64_t positives, CountPositives(scores, labels));
  const double share = static_cast<double>(positives) / static_cast<double>(labels.size());
  const double threshold = Percentile(scores, 100.0 * (1.0 - share));
  int64_t above = 0, hits = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] <= threshold) continue;
    ++above;
    hits += labels[i] != 0;
  }
  return above == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(above);
}

absl::StatusOr<RankingMetrics> Evaluate(std::span<const double> scores, std::span<const uint8_t> labels) {
  RankingMetrics out;
  ASSIGN_OR_RETURN(out.roc_auc, RocAuc(scores, labels));
  ASSIGN_OR_RETURN(out.average_precision, AveragePrecision(scores, labels));
  ASSIGN_OR_RETURN(out.precision_at_n, PrecisionAtN(scores, labels));
  return out;
}

}  // namespace vedette::outlier
