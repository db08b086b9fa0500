// Where the scores' density has run out: from its highest mode to the right, the first place at which the density is low
// and no longer falls. Kernel density on a grid, with Silverman's bandwidth.
#include <algorithm>
#include <cmath>
#include <vector>

#include "outlier/threshold.h"
#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr int kGrid = 1024;
constexpr ParamSpec kParams[] = {{.name = "share",
                                  .type = ParamType::kReal,
                                  .default_value = "0.01",
                                  .min = 1e-6,
                                  .max = 0.9,
                                  .summary = "Density, as a share of the mode's, below which its first valley counts."}};

/// Density on a grid of kGrid points from the least to the largest score (binned, then smoothed with a Gaussian).
std::vector<double> Density(std::span<const double> sorted, double bandwidth) {
  const double least = sorted.front(), range = sorted.back() - least;
  std::vector<double> counts(kGrid, 0), out(kGrid, 0);
  for (const double s : sorted) counts[static_cast<size_t>((s - least) / range * (kGrid - 1) + 0.5)] += 1;
  const double step = range / (kGrid - 1);
  const int reach = std::min(kGrid, static_cast<int>(5 * bandwidth / step) + 1);
  std::vector<double> kernel(static_cast<size_t>(reach) + 1);
  for (int k = 0; k <= reach; ++k) {
    const double z = k * step / bandwidth;
    kernel[static_cast<size_t>(k)] = std::exp(-0.5 * z * z);
  }
  for (int i = 0; i < kGrid; ++i) {
    for (int k = std::max(0, i - reach); k <= std::min(kGrid - 1, i + reach); ++k) {
      out[static_cast<size_t>(i)] += counts[static_cast<size_t>(k)] * kernel[static_cast<size_t>(std::abs(i - k))];
    }
  }
  return out;
}

absl::StatusOr<double> Find(std::span<const double> sorted, const ParamSet& p) {
  const double range = sorted.back() - sorted.front();
  if (!(range > 0) || sorted.size() < 10) return sorted.back();
  const double iqr = Percentile(sorted, 75) - Percentile(sorted, 25);
  const double spread = iqr > 0 ? iqr / 1.349 : range / 10;
  const double bandwidth = std::max(0.9 * spread * std::pow(static_cast<double>(sorted.size()), -0.2), range / kGrid);
  const std::vector<double> density = Density(sorted, bandwidth);
  const auto mode = static_cast<size_t>(std::max_element(density.begin(), density.end()) - density.begin());
  for (size_t i = mode + 1; i + 1 < density.size(); ++i) {
    if (density[i] <= p.Real("share") * density[mode] && density[i + 1] >= density[i]) {
      return sorted.front() + range * static_cast<double>(i) / (kGrid - 1);
    }
  }
  return sorted.back();
}

}  // namespace

extern const ThresholdDescriptor t_density;
const ThresholdDescriptor t_density = {
    .name = "density",
    .summary = "The first valley of the scores' density beyond their mode; flags nothing when the density falls to the very end.",
    .paper = "Z. Qi, D. Jiang, X. Chen, Iterative gradient descent for outlier detection, IJWMIP, 2021 (the idea: gradient of the density)",
    .params = kParams,
    .find = Find,
};

}  // namespace vedette::outlier
