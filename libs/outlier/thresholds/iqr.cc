// Tukey's upper fence.
#include "outlier/threshold.h"
#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {{.name = "factor",
                                  .type = ParamType::kReal,
                                  .default_value = "1.5",
                                  .min = 0,
                                  .max = 1e6,
                                  .summary = "Interquartile ranges above the third quartile; 3 is Tukey's 'far out'."}};

}  // namespace

extern const ThresholdDescriptor t_iqr;
const ThresholdDescriptor t_iqr = {
    .name = "iqr",
    .summary = "The box plot's fence; of scores with a long tail it flags several per cent.",
    .paper = "J. W. Tukey, Exploratory data analysis, Addison-Wesley, 1977",
    .params = kParams,
    .find = [](std::span<const double> sorted, const ParamSet& p) -> absl::StatusOr<double> {
      const double q1 = Percentile(sorted, 25), q3 = Percentile(sorted, 75);
      return q3 + p.Real("factor") * (q3 - q1);
    },
};

}  // namespace vedette::outlier
