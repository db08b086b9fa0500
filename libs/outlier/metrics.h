// How well scores rank known anomalies. Labels are for evaluation only; no detector ever sees them.
// All functions: scores higher = more anomalous, finite; labels[i] != 0 marks a true anomaly; both of the same size.
// Errors: INVALID_ARGUMENT when the sizes differ, a score is not finite, or one of the two classes is empty.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>

namespace vedette::outlier {

struct RankingMetrics {
  double roc_auc = 0;
  double average_precision = 0;
  double precision_at_n = 0;
};

/// Area under the ROC curve as the Mann-Whitney statistic with midranks for ties (Fawcett 2006): the probability that
/// a random anomaly scores above a random normal row, ties counting one half.
absl::StatusOr<double> RocAuc(std::span<const double> scores, std::span<const uint8_t> labels);

/// Sum over distinct thresholds, highest first, of (recall_k - recall_{k-1}) * precision_k; no interpolation
/// (the definition of scikit-learn's average_precision_score).
absl::StatusOr<double> AveragePrecision(std::span<const double> scores, std::span<const uint8_t> labels);

/// Precision of the rows whose score is strictly above the (1 - n/N) quantile of the scores, n = number of true
/// anomalies, quantile with linear interpolation (PyOD's precision_n_scores). 0 when no row is above.
absl::StatusOr<double> PrecisionAtN(std::span<const double> scores, std::span<const uint8_t> labels);

absl::StatusOr<RankingMetrics> Evaluate(std::span<const double> scores, std::span<const uint8_t> labels);

}  // namespace vedette::outlier
