// Generalised extreme studentised deviate, of the upper side: the largest score is taken away as often as it may be, and
// the last one whose deviation passes the critical value decides.
#include <cmath>
#include <vector>

#include "outlier/special.h"
#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {
    {.name = "alpha",
     .type = ParamType::kReal,
     .default_value = "0.05",
     .min = 1e-9,
     .max = 0.5,
     .summary = "Chance of flagging anything when the scores are normal."},
    {.name = "share", .type = ParamType::kReal, .default_value = "0.2", .min = 0, .max = 0.5, .summary = "At most this share is odd."},
};

/// Critical value when the largest of n is tested.
double Critical(double n, double alpha) {
  const double t = -StudentQuantile(alpha / n, n - 2);
  return (n - 1) * t / std::sqrt((n - 2 + t * t) * n);
}

/// The same for n = most, most - 1, ...: a smooth function, so that beyond 1000 values it is computed at every hundredth
/// part and interpolated (relative error below 1e-6).
class CriticalValues {
 public:
  CriticalValues(size_t most, double alpha) : alpha_(alpha), high_(most) { Move(most); }
  double At(size_t n) {
    if (n <= 1000) return Critical(static_cast<double>(n), alpha_);
    if (n < low_) Move(n);
    const double t = static_cast<double>(n - low_) / static_cast<double>(high_ - low_);
    return low_value_ + t * (high_value_ - low_value_);
  }

 private:
  void Move(size_t n) {
    high_ = n;
    low_ = n - n / 100 - 1;
    high_value_ = Critical(static_cast<double>(high_), alpha_);
    low_value_ = Critical(static_cast<double>(low_), alpha_);
  }
  double alpha_;
  size_t low_ = 0, high_;
  double low_value_ = 0, high_value_ = 0;
};

absl::StatusOr<double> Find(std::span<const double> sorted, const ParamSet& p) {
  const size_t n = sorted.size();
  const auto most = static_cast<size_t>(p.Real("share") * static_cast<double>(n));
  // Mean and sum of squares of the first i scores, ascending (Welford).
  std::vector<double> mean(n + 1, 0), squares(n + 1, 0);
  for (size_t i = 0; i < n; ++i) {
    const double delta = sorted[i] - mean[i];
    mean[i + 1] = mean[i] + delta / static_cast<double>(i + 1);
    squares[i + 1] = squares[i] + delta * (sorted[i] - mean[i + 1]);
  }
  if (n < 4) return sorted.back();
  CriticalValues critical(n, p.Real("alpha"));
  size_t odd = 0;
  for (size_t k = 1; k <= most && n - k + 1 >= 4; ++k) {
    const size_t left = n - k + 1;
    const double sd = std::sqrt(squares[left] / static_cast<double>(left - 1));
    if (sd > 0 && (sorted[left - 1] - mean[left]) / sd > critical.At(left)) odd = k;
  }
  if (odd == 0) return sorted.back();
  const double below = sorted[n - odd - 1], above = sorted[n - odd];
  return below + (above - below) / 2 < above ? below + (above - below) / 2 : below;
}

}  // namespace

extern const ThresholdDescriptor t_gesd;
const ThresholdDescriptor t_gesd = {
    .name = "gesd",
    .summary = "Tests how many of the largest scores a normal law does not explain; skewed scores give it too many.",
    .paper = "B. Rosner, Percentage points for a generalized ESD many-outlier procedure, Technometrics, 1983",
    .params = kParams,
    .find = Find,
};

}  // namespace vedette::outlier
