// Mean + factor * standard deviation.
#include <cmath>

#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {{.name = "factor",
                                  .type = ParamType::kReal,
                                  .default_value = "3",
                                  .min = 0,
                                  .max = 1e6,
                                  .summary = "Standard deviations above the mean."}};

}  // namespace

extern const ThresholdDescriptor t_zscore;
const ThresholdDescriptor t_zscore = {
    .name = "zscore",
    .summary = "Standard deviations above the mean; a few huge scores widen it and hide the others (mad does not mind).",
    .paper = "W. A. Shewhart, Economic control of quality of manufactured product, Van Nostrand, 1931",
    .params = kParams,
    .find = [](std::span<const double> sorted, const ParamSet& p) -> absl::StatusOr<double> {
      const auto n = static_cast<double>(sorted.size());
      double mean = 0, squares = 0;
      for (const double s : sorted) mean += s / n;
      for (const double s : sorted) squares += (s - mean) * (s - mean) / n;
      return mean + p.Real("factor") * std::sqrt(squares);
    },
};

}  // namespace vedette::outlier
