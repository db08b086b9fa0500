// Extreme value theory: the excesses over a high level follow a generalised Pareto law, whatever the scores' own law is
// (Balkema-de Haan-Pickands), so a threshold for any small risk can be read off it (Siffer et al., KDD 2017).
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace vedette::outlier {

/// P(X > x) = (1 + shape x / scale)^(-1 / shape); shape 0: exp(-x / scale).
struct ParetoTail {
  double shape = 0, scale = 1;
};

/// Maximum likelihood, by Grimshaw's reduction to one variable; the shape is kept within [-0.5, 1]. Excesses: positive,
/// finite, at least one.
ParetoTail FitParetoTail(std::span<const double> excesses);

/// The value that is exceeded with probability `risk`, when `level` is exceeded with probability `above` > risk.
double TailQuantile(const ParetoTail& tail, double level, double above, double risk);

/// SPOT: a threshold that follows a stream whose law does not drift. Values above the threshold are anomalies and are not
/// learned from; values between level and threshold make the tail better known.
class StreamingTail {
 public:
  /// `first`: at least 100 finite values. level: share of them below the level, in [0.5, 1); risk in (0, 1 - level).
  static absl::StatusOr<StreamingTail> Start(std::span<const double> first, double level, double risk);

  /// True when `value` is anomalous. Refits when the number of excesses has grown by 2%; not thread-safe.
  bool Observe(double value);
  double threshold() const { return threshold_; }
  int64_t seen() const { return seen_; }

 private:
  void Refit();

  double level_ = 0, risk_ = 0, threshold_ = 0;
  int64_t seen_ = 0;
  size_t fitted_at_ = 0;
  /// Positive; when there are kMost the oldest is replaced, and `excess_count_` goes on counting.
  std::vector<double> excesses_;
  int64_t excess_count_ = 0;
};

}  // namespace vedette::outlier
