// A percentile of the training scores, as `contamination`, but named by itself.
#include "outlier/threshold.h"
#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {{.name = "percent",
                                  .type = ParamType::kReal,
                                  .default_value = "95",
                                  .min = 0,
                                  .max = 100,
                                  .summary = "Per cent of the training scores that are not anomalous."}};

}  // namespace

extern const ThresholdDescriptor t_percentile;
const ThresholdDescriptor t_percentile = {
    .name = "percentile",
    .summary = "A fixed share of the training rows, whether they are odd or not.",
    .paper = "",
    .params = kParams,
    .find = [](std::span<const double> sorted, const ParamSet& p) -> absl::StatusOr<double> {
      return Percentile(sorted, p.Real("percent"));
    },
};

}  // namespace vedette::outlier
