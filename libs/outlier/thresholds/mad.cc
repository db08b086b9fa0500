// Median + factor * 1.4826 * median absolute deviation: 1.4826 makes it a standard deviation under a normal law.
#include <cmath>
#include <vector>

#include "outlier/threshold.h"
#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr double kNormal = 1.482602218505602;
constexpr ParamSpec kParams[] = {{.name = "factor",
                                  .type = ParamType::kReal,
                                  .default_value = "3.5",
                                  .min = 0,
                                  .max = 1e6,
                                  .summary = "Deviations above the median; 3.5 is Iglewicz and Hoaglin's advice."}};

}  // namespace

extern const ThresholdDescriptor t_mad;
const ThresholdDescriptor t_mad = {
    .name = "mad",
    .summary = "Robust deviations above the median; flags nothing but different scores where more than half are equal.",
    .paper = "B. Iglewicz, D. C. Hoaglin, How to detect and handle outliers, ASQC, 1993",
    .params = kParams,
    .find = [](std::span<const double> sorted, const ParamSet& p) -> absl::StatusOr<double> {
      const double median = Percentile(sorted, 50);
      std::vector<double> deviations;
      deviations.reserve(sorted.size());
      for (const double s : sorted) deviations.push_back(std::fabs(s - median));
      return median + p.Real("factor") * kNormal * Percentile(deviations, 50);
    },
};

}  // namespace vedette::outlier
