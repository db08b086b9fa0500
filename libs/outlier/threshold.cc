#include "outlier/threshold.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/status.h"
#include "outlier/special.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kThresholdVersion = 2;  // 2: the rule; 1 had none
constexpr double kMaxFinite = std::numeric_limits<double>::max();

/// More than -ln of what a double can tell from 1 or from 0 beside 1.
constexpr double kCertain = 42;

/// -ln of the bound on either tail of a binomial share around p from q on (Hoeffding 1963, theorem 1), q in [0, 1], p inside.
double TailExponent(double q, double p, double n) {
  const double quick = 2 * n * (q - p) * (q - p);  // never more
  if (quick > kCertain) return quick;
  const double over = q > 0 ? q * std::log(q / p) : 0, under = q < 1 ? (1 - q) * std::log((1 - q) / (1 - p)) : 0;
  return n * (over + under);
}

/// numpy's linear interpolation between order statistics; halves avoid overflow of the difference.
double SortedPercentile(std::span<const double> sorted, double percent) {
  const double position = std::clamp(percent, 0.0, 100.0) / 100.0 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(position));
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double t = position - static_cast<double>(below);
  const double a = sorted[below], b = sorted[above];
  const double gap = b - a;
  if (!std::isfinite(gap)) return a * (1 - t) + b * t;
  return t >= 0.5 ? b - gap * (1 - t) : a + gap * t;
}

}  // namespace

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNone: return "none";
    case Severity::kLow: return "low";
    case Severity::kMedium: return "medium";
    case Severity::kHigh: return "high";
    case Severity::kCritical: return "critical";
  }
  return "none";
}

double Percentile(std::span<const double> values, double percent) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return SortedPercentile(sorted, percent);
}

absl::StatusOr<ScoreScale> ScoreScale::Fit(std::span<const double> scores, double contamination) {
  if (scores.empty()) return absl::InvalidArgumentError("there are no training scores to derive a threshold from");
  if (!(contamination > 0 && contamination <= 0.5)) {
    return InvalidArgument("contamination is {}: must be in (0, 0.5]", contamination);
  }
  for (const double s : scores) {
    if (!std::isfinite(s)) return absl::InternalError("a training score is not finite");
  }
  std::vector<double> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  ScoreScale scale;
  scale.n_ = static_cast<int64_t>(sorted.size());
  scale.contamination_ = contamination;
  scale.min_ = sorted.front();
  scale.max_ = sorted.back();
  scale.threshold_ = SortedPercentile(sorted, 100 * (1 - contamination));
  // Moments of scores / unit, where unit is a power of two, so that squares of huge scores stay finite.
  const double magnitude = std::max(std::fabs(scale.min_), std::fabs(scale.max_));
  const double unit = magnitude > 1e100 || (magnitude < 1e-100 && magnitude > 0) ? std::ldexp(1.0, std::ilogb(magnitude)) : 1;
  const auto n = static_cast<double>(sorted.size());
  double sum = 0;
  for (const double s : sorted) sum += s / unit;
  const double mean = sum / n;
  double squares = 0;
  for (const double s : sorted) squares += (s / unit - mean) * (s / unit - mean);
  scale.mean_ = mean * unit;
  scale.sd_ = std::min(kMaxFinite, std::sqrt(squares / n) * unit);
  if (sorted.size() <= kSketchSize) {
    scale.sketch_ = std::move(sorted);
  } else {
    scale.sketch_.resize(kSketchSize);
    for (size_t i = 0; i < kSketchSize; ++i) {
      scale.sketch_[i] = sorted[i * (sorted.size() - 1) / (kSketchSize - 1)];
    }
  }
  scale.DeriveTail();
  return scale;
}

absl::StatusOr<ScoreScale> ScoreScale::Fit(std::span<const double> scores, const ThresholdRule& rule) {
  ASSIGN_OR_RETURN(ScoreScale scale, Fit(scores, 0.5));
  std::vector<double> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  ASSIGN_OR_RETURN(scale.threshold_, rule.Find(sorted));
  const auto above = static_cast<double>(sorted.end() - std::upper_bound(sorted.begin(), sorted.end(), scale.threshold_));
  const auto n = static_cast<double>(sorted.size());
  scale.contamination_ = std::clamp(above / n, 0.5 / n, 0.5);
  scale.rule_ = rule.Text();
  scale.DeriveTail();
  return scale;
}

absl::StatusOr<ScoreScale> ScoreScale::WithContamination(double contamination) const {
  if (!(contamination > 0 && contamination <= 0.5)) {
    return InvalidArgument("contamination is {}: must be in (0, 0.5]", contamination);
  }
  ScoreScale scale = *this;
  scale.contamination_ = contamination;
  scale.rule_.clear();
  scale.threshold_ = SortedPercentile(sketch_, 100 * (1 - contamination));
  scale.DeriveTail();
  return scale;
}

void ScoreScale::DeriveTail() {
  const double median = SortedPercentile(sketch_, 50);
  const auto usable = [](double v) { return std::isfinite(v) && v > 0; };
  // Exponential tail through the median and the threshold: P(S > s) = contamination exp(-(s - threshold) / tail).
  tail_ = contamination_ < 0.5 ? (threshold_ - median) / std::log(0.5 / contamination_) : 0;
  if (!usable(tail_)) tail_ = sd_;
  if (!usable(tail_)) tail_ = std::max(std::fabs(threshold_) * 1e-6, std::numeric_limits<double>::min());
}

double ScoreScale::Probability(double score) const {
  if (!(sd_ > 0)) return score > mean_ ? 1 : 0;
  const double z = (score - mean_) / sd_;
  return std::clamp(std::erf(z / std::sqrt(2.0)), 0.0, 1.0);
}

double ScoreScale::LinearProbability(double score) const {
  if (!(max_ > min_)) return score > max_ ? 1 : 0;
  const double range = max_ - min_;
  const double p = std::isfinite(range) ? (score - min_) / range : (score / 2 - min_ / 2) / (max_ / 2 - min_ / 2);
  return std::clamp(p, 0.0, 1.0);
}

double ScoreScale::Quantile(double score) const {
  const auto at = std::upper_bound(sketch_.begin(), sketch_.end(), score) - sketch_.begin();
  const auto size = static_cast<double>(sketch_.size());
  if (static_cast<int64_t>(sketch_.size()) == n_ || at == 0 || at == static_cast<std::ptrdiff_t>(sketch_.size())) {
    return static_cast<double>(at) / size;
  }
  // Between two kept order statistics: interpolate the rank.
  const double low = sketch_[static_cast<size_t>(at - 1)], high = sketch_[static_cast<size_t>(at)];
  const double part = high > low ? std::clamp((score / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0) : 0;
  const double rank = (static_cast<double>(at - 1) + part) / (size - 1) * static_cast<double>(n_ - 1) + 1;
  return std::clamp(std::floor(rank) / static_cast<double>(n_), 0.0, 1.0);
}

double ScoreScale::Confidence(double score) const {
  const auto n = static_cast<double>(n_);
  const double below = std::round(Quantile(score) * n);  // training scores <= score
  const double p = (1 + below) / (2 + n);                // Bayesian estimate with a uniform prior
  const double normal = n - std::floor(n * contamination_);
  // 1 - P(B <= normal), which for all but the rows near the threshold is as good as 0 or 1, and dear.
  double anomaly = 0;
  if (normal / n < p && TailExponent(normal / n, p, n) > kCertain) {
    anomaly = 1;
  } else if (!((normal + 1) / n > p) || (normal < n && TailExponent((normal + 1) / n, p, n) <= kCertain)) {
    anomaly = BinomialSurvival(normal, n, p);
  }
  return IsAnomaly(score) ? anomaly : 1 - anomaly;
}

bool ScoreScale::Rejects(double score, double tolerance) const {
  return 2 * std::fabs(Confidence(score) - 0.5) <= 1 - 2 * std::exp(-tolerance);
}

double ScoreScale::PValue(double score) const {
  const auto n = static_cast<double>(n_);
  // Scores strictly below: those up to the number just before.
  const double below = std::round(Quantile(std::nextafter(score, -std::numeric_limits<double>::infinity())) * n);
  return (1 + n - below) / (1 + n);
}

std::vector<bool> ScoreScale::Discoveries(std::span<const double> scores, double rate) const {
  std::vector<double> p;
  p.reserve(scores.size());
  for (const double score : scores) p.push_back(PValue(score));
  return BenjaminiHochberg(p, rate);
}

std::vector<bool> BenjaminiHochberg(std::span<const double> p_values, double rate) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  size_t count = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    if (p_values[order[k]] <= rate * static_cast<double>(k + 1) / static_cast<double>(order.size())) count = k + 1;
  }
  std::vector<bool> out(p_values.size(), false);
  for (size_t k = 0; k < count; ++k) out[order[k]] = true;
  return out;
}

double ScoreScale::TailUnits(double score) const {
  if (!IsAnomaly(score)) return 0;
  return std::min(kMaxFinite, (score / 2 - threshold_ / 2) / tail_ * 2);
}

Severity ScoreScale::SeverityOf(double score) const {
  if (!IsAnomaly(score)) return Severity::kNone;
  const double units = TailUnits(score);
  if (units < kMediumFrom) return Severity::kLow;
  if (units < kHighFrom) return Severity::kMedium;
  if (units < kCriticalFrom) return Severity::kHigh;
  return Severity::kCritical;
}

void ScoreScale::Save(ByteWriter& out) const {
  out.U32(kThresholdVersion);
  out.F64(threshold_);
  out.F64(contamination_);
  out.F64(mean_);
  out.F64(sd_);
  out.F64(min_);
  out.F64(max_);
  out.I64(n_);
  out.String(rule_);
  out.Doubles(sketch_);
}

absl::StatusOr<ScoreScale> ScoreScale::Load(ByteReader& in) {
  const uint32_t version = in.U32();
  if (in.ok() && (version < 1 || version > kThresholdVersion)) in.Fail(fmt::format("the score scale has version {}", version));
  ScoreScale scale;
  scale.threshold_ = ReadFinite(in, "the threshold");
  scale.contamination_ = ReadFinite(in, "the contamination");
  scale.mean_ = ReadFinite(in, "the mean score");
  scale.sd_ = ReadFinite(in, "the deviation of scores");
  scale.min_ = ReadFinite(in, "the least score");
  scale.max_ = ReadFinite(in, "the largest score");
  scale.n_ = ReadInt(in, "the number of training scores", 1, int64_t{1} << 48);
  if (version >= 2) scale.rule_ = in.String();
  if (in.ok() && !scale.rule_.empty() && !ThresholdRule::Parse(scale.rule_).ok()) in.Fail("the threshold's rule is not known");
  const auto expected = in.ok() ? std::min<int64_t>(scale.n_, kSketchSize) : 0;
  scale.sketch_ = ReadDoubles(in, "the sketch of scores", expected);
  if (in.ok() && (!(scale.contamination_ > 0 && scale.contamination_ <= 0.5) || scale.sd_ < 0 || scale.min_ > scale.max_ ||
                  !std::is_sorted(scale.sketch_.begin(), scale.sketch_.end()))) {
    in.Fail("the score scale contradicts itself");
  }
  RETURN_IF_ERROR(in.status());
  scale.DeriveTail();
  return scale;
}

}  // namespace vedette::outlier
