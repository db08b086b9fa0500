#include "services/feature-engine/core/baseline.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/rng.h"
#include "base/status.h"

namespace vedette::feature_engine {
namespace {

// Linear interpolation between order statistics (type 7 of Hyndman and Fan 1996). `values` is reordered.
double Quantile(std::vector<double>& values, double q) {
  const double place = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(place);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(values.begin(), at, values.end());
  const double below = *at;
  if (low + 1 == values.size()) return below;
  const double above = *std::min_element(at + 1, values.end());
  return below + (place - static_cast<double>(low)) * (above - below);
}

}  // namespace

struct BaselineBuilder::State {
  State(int64_t max, uint64_t seed) : max_values(std::max<int64_t>(1, max)), rng(seed) {}
  int64_t max_values;
  Rng rng;
  int64_t count = 0;
  double mean = 0;
  double sum_of_squares = 0;  // of deviations
  double minimum = INFINITY;
  double maximum = -INFINITY;
  std::vector<double> values;
};

BaselineBuilder::BaselineBuilder(int64_t max_values, uint64_t seed)
    : state_(std::make_unique<State>(max_values, seed)) {}
BaselineBuilder::~BaselineBuilder() = default;
BaselineBuilder::BaselineBuilder(BaselineBuilder&&) noexcept = default;

void BaselineBuilder::Add(std::span<const double> values) {
  State& s = *state_;
  for (const double v : values) {
    if (std::isnan(v)) continue;
    ++s.count;
    const double delta = v - s.mean;
    s.mean += delta / static_cast<double>(s.count);
    s.sum_of_squares += delta * (v - s.mean);
    s.minimum = std::min(s.minimum, v);
    s.maximum = std::max(s.maximum, v);
    if (s.count <= s.max_values) {
      s.values.push_back(v);
    } else if (const uint64_t place = s.rng.Below(static_cast<uint64_t>(s.count));
               place < static_cast<uint64_t>(s.max_values)) {
      s.values[place] = v;
    }
  }
}

absl::Status BaselineBuilder::Finish(Baseline* out) {
  State& s = *state_;
  if (s.count == 0) return FailedPrecondition("there is no value to learn from");
  out->count = s.count;
  out->mean = s.mean;
  out->standard_deviation = s.count > 1 ? std::sqrt(s.sum_of_squares / static_cast<double>(s.count - 1)) : 0.0;
  out->minimum = s.minimum;
  out->maximum = s.maximum;
  out->percentile_5 = Quantile(s.values, 0.05);
  out->percentile_95 = Quantile(s.values, 0.95);
  out->median = Quantile(s.values, 0.5);
  for (double& v : s.values) v = std::abs(v - out->median);
  out->median_absolute_deviation = Quantile(s.values, 0.5);
  return absl::OkStatus();
}

}  // namespace vedette::feature_engine
