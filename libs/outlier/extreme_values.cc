#include "outlier/extreme_values.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/threshold.h"

namespace vedette::outlier {
namespace {

constexpr double kLeastShape = -0.5, kMostShape = 1;
constexpr size_t kFewestValues = 100, kMostExcesses = 10000;

/// Profile log-likelihood per excess at theta = shape / scale; the best shape for a theta is mean ln(1 + theta x).
struct Profile {
  double shape, likelihood;
};

Profile At(std::span<const double> x, double theta) {
  double shape = 0;
  for (const double v : x) shape += std::log1p(theta * v);
  shape /= static_cast<double>(x.size());
  const double scale = shape / theta;
  if (!(scale > 0) || shape < kLeastShape || shape > kMostShape) return {shape, -HUGE_VAL};
  return {shape, -std::log(scale) - shape - 1};
}

/// Golden section between a and b around the best of a grid.
double Refine(std::span<const double> x, double a, double b) {
  constexpr double kGolden = 0.6180339887498949;
  for (int i = 0; i < 60; ++i) {
    const double left = b - kGolden * (b - a), right = a + kGolden * (b - a);
    if (At(x, left).likelihood > At(x, right).likelihood) b = right;
    else a = left;
  }
  return 0.5 * (a + b);
}

}  // namespace

ParetoTail FitParetoTail(std::span<const double> excesses) {
  std::vector<double> x(excesses.begin(), excesses.end());
  const double most = *std::max_element(x.begin(), x.end());
  for (double& v : x) v /= most;  // in (0, 1]: theta has the same range for every data
  double mean = 0;
  for (const double v : x) mean += v / static_cast<double>(x.size());
  // theta > -1 / max; a grid that is dense near 0 on both sides, and the exponential law (theta = 0) as the one to beat.
  double best = 0, likelihood = -std::log(mean) - 1;
  constexpr int kGrid = 60;
  std::vector<double> grid;
  for (int i = 0; i <= kGrid; ++i) {
    const double t = std::pow(10.0, -4 + 4.0 * i / kGrid);
    grid.push_back(-t * (1 - 1e-6));
    grid.push_back(t / mean * 10);
  }
  std::sort(grid.begin(), grid.end());
  size_t at = grid.size();
  for (size_t i = 0; i < grid.size(); ++i) {
    if (const Profile p = At(x, grid[i]); p.likelihood > likelihood) {
      likelihood = p.likelihood;
      best = grid[i];
      at = i;
    }
  }
  if (at < grid.size()) {
    const double refined = Refine(x, at > 0 ? grid[at - 1] : grid[0], at + 1 < grid.size() ? grid[at + 1] : grid[at]);
    if (At(x, refined).likelihood >= likelihood) best = refined;
  }
  if (best == 0) return {0, mean * most};
  const double shape = At(x, best).shape;
  return {shape, shape / best * most};
}

double TailQuantile(const ParetoTail& tail, double level, double above, double risk) {
  const double ratio = std::log(above / risk);
  return level + tail.scale * (std::fabs(tail.shape) < 1e-8 ? ratio : std::expm1(tail.shape * ratio) / tail.shape);
}

absl::StatusOr<StreamingTail> StreamingTail::Start(std::span<const double> first, double level, double risk) {
  if (!(level >= 0.5 && level < 1)) return InvalidArgument("level is {}: must be in [0.5, 1)", level);
  if (!(risk > 0 && risk < 1 - level)) return InvalidArgument("risk is {}: must be in (0, {})", risk, 1 - level);
  if (first.size() < kFewestValues) return InvalidArgument("{} first values are fewer than {}", first.size(), kFewestValues);
  for (const double v : first) {
    if (!std::isfinite(v)) return absl::InvalidArgumentError("a first value is not finite");
  }
  StreamingTail out;
  out.level_ = Percentile(first, 100 * level);
  out.risk_ = risk;
  out.seen_ = static_cast<int64_t>(first.size());
  for (const double v : first) {
    if (v > out.level_) out.excesses_.push_back(v - out.level_);
  }
  out.excess_count_ = static_cast<int64_t>(out.excesses_.size());
  if (out.excesses_.size() > kMostExcesses) out.excesses_.resize(kMostExcesses);
  out.Refit();
  return out;
}

void StreamingTail::Refit() {
  fitted_at_ = static_cast<size_t>(excess_count_);
  if (excesses_.empty()) {
    threshold_ = level_;
    return;
  }
  const double above = static_cast<double>(excess_count_) / static_cast<double>(seen_);
  threshold_ = above > risk_ ? TailQuantile(FitParetoTail(excesses_), level_, above, risk_) : level_;
}

bool StreamingTail::Observe(double value) {
  if (!(value <= threshold_)) return value > threshold_;  // NaN is no anomaly and teaches nothing
  ++seen_;
  if (value <= level_) return false;
  if (excesses_.size() < kMostExcesses) excesses_.push_back(value - level_);
  else excesses_[static_cast<size_t>(excess_count_) % kMostExcesses] = value - level_;
  ++excess_count_;
  if (static_cast<double>(excess_count_) >= 1.02 * static_cast<double>(fitted_at_) + 1) Refit();
  return false;
}

}  // namespace vedette::outlier
