// A number that the user knows.
#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {{.name = "value",
                                  .type = ParamType::kReal,
                                  .default_value = "0",
                                  .min = -1.7e308,
                                  .max = 1.7e308,
                                  .summary = "The threshold, in the units of the algorithm's score."}};

}  // namespace

extern const ThresholdDescriptor t_fixed;
const ThresholdDescriptor t_fixed = {
    .name = "fixed",
    .summary = "A score that is known beforehand; means something only for one algorithm on one kind of data.",
    .paper = "",
    .params = kParams,
    .find = [](std::span<const double>, const ParamSet& p) -> absl::StatusOr<double> { return p.Real("value"); },
    .raw = true,
};

}  // namespace vedette::outlier
