// From raw scores to decisions: threshold, probability, severity, confidence.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "outlier/threshold_rule.h"

namespace vedette::outlier {

enum class Severity { kNone, kLow, kMedium, kHigh, kCritical };
std::string_view SeverityName(Severity severity);

/// numpy's percentile with linear interpolation; `percent` in [0, 100]; NaN is not allowed; reorders a copy.
double Percentile(std::span<const double> values, double percent);

/// What the training scores say about any later score. Keeps a sorted sketch of at most 4096 training scores.
///
/// Severity is measured in tail units: u = (score - threshold) / t, where t is the scale of the exponential tail that
/// runs through the training scores' median and the threshold, t = (threshold - median) / ln(0.5 / contamination).
/// For an exponential tail P(S > s) = contamination exp(-u), so a unit means the same for every algorithm and every
/// contamination, and t comes from the bulk below the threshold, so anomalies in the training data do not widen it.
/// low: u < 1, medium: u < 2.5, high: u < 5, critical: from 5 on (of exponential scores one flagged row in 150).
/// Where more than half of the scores equal the threshold, t is their standard deviation.
class ScoreScale {
 public:
  static constexpr size_t kSketchSize = 4096;
  static constexpr double kMediumFrom = 1, kHighFrom = 2.5, kCriticalFrom = 5;

  /// scores: not empty, finite. contamination in (0, 0.5]: threshold = Percentile(scores, 100 (1 - contamination)).
  static absl::StatusOr<ScoreScale> Fit(std::span<const double> scores, double contamination);

  /// The threshold that a rule finds in the scores; contamination is then the share of them above it, within
  /// [1 / (2 n), 0.5]. Errors: as the rule's.
  static absl::StatusOr<ScoreScale> Fit(std::span<const double> scores, const ThresholdRule& rule);

  /// The same training scores with another threshold; exact while there are at most kSketchSize of them.
  absl::StatusOr<ScoreScale> WithContamination(double contamination) const;

  double threshold() const { return threshold_; }
  double contamination() const { return contamination_; }
  /// The rule that the threshold is from, as ThresholdRule::Parse reads it; empty when contamination was given.
  const std::string& rule() const { return rule_; }
  /// Anomalous when strictly greater than the threshold (as PyOD).
  bool IsAnomaly(double score) const { return score > threshold_; }
  /// erf((s - mean) / (sd sqrt 2)), clipped at 0 (Kriegel et al., "Interpreting and unifying outlier scores", 2011).
  double Probability(double score) const;
  /// Min-max by the training scores, clipped to [0, 1].
  double LinearProbability(double score) const;
  /// Share of training scores that are <= score, in [0, 1].
  double Quantile(double score) const;
  /// Confidence that the label would stay the same under a resampled training set (Perini et al., ECML 2020), [0, 1].
  double Confidence(double score) const;
  /// Whether a decision about the row had better be left to a person: its label would change with probability exp(-T) or
  /// more under another training set (Perini et al., "Unsupervised anomaly detection with rejection", NeurIPS 2023).
  bool Rejects(double score, double tolerance = 32) const;
  /// Conformal p-value (1 + #{training scores >= score}) / (1 + n), in (0, 1] (Bates et al. 2023): of a new normal row it
  /// is at most p with probability p at most. Exact while there are at most kSketchSize training scores.
  double PValue(double score) const;
  /// Which of a batch are findings, so that at most the share `rate` of them is false on average (Benjamini, Hochberg
  /// 1995, on conformal p-values). Depends on the batch, by its nature. rate in (0, 1).
  std::vector<bool> Discoveries(std::span<const double> scores, double rate) const;
  /// kNone up to the threshold; above it by how far the score lies beyond the training scores' own tail.
  Severity SeverityOf(double score) const;
  /// (score - threshold) / t as above; 0 up to the threshold.
  double TailUnits(double score) const;

  void Save(ByteWriter& out) const;
  static absl::StatusOr<ScoreScale> Load(ByteReader& in);

 private:
  void DeriveTail();

  double threshold_ = 0, contamination_ = 0.1;
  std::string rule_;
  double mean_ = 0, sd_ = 0, min_ = 0, max_ = 0;
  int64_t n_ = 0;
  double tail_ = 1;  ///< t, derived from the others
  std::vector<double> sketch_;  ///< sorted; all training scores, or kSketchSize evenly spaced order statistics
};

/// Benjamini-Hochberg: rejects the k smallest p-values, k the largest with p_(k) <= rate k / m.
std::vector<bool> BenjaminiHochberg(std::span<const double> p_values, double rate);

}  // namespace vedette::outlier
