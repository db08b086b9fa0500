// Conformal p-values with the training scores as calibration: a normal row exceeds the threshold with probability alpha at
// most, whatever the scores' law is. Odd rows among the training rows only make it more careful. For a bound on the share of
// false findings in a batch see ScoreScale::Discoveries.
#include <algorithm>
#include <cmath>

#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {{.name = "alpha",
                                  .type = ParamType::kReal,
                                  .default_value = "0.05",
                                  .min = 1e-9,
                                  .max = 0.5,
                                  .summary = "Most of the normal rows that may be flagged."}};

}  // namespace

extern const ThresholdDescriptor t_conformal;
const ThresholdDescriptor t_conformal = {
    .name = "conformal",
    .summary = "Flags a row when its conformal p-value (1 + scores at least as high) / (1 + n) is alpha or less: a bound on false alarms "
               "of new rows without any law; below 1 / alpha training rows nothing that is not above all of them.",
    .paper = "S. Bates, E. Candes, L. Lei, Y. Romano, M. Sesia, Testing for outliers with conformal p-values, Annals of Statistics, 2023",
    .params = kParams,
    .find = [](std::span<const double> sorted, const ParamSet& p) -> absl::StatusOr<double> {
      // (1 + #{s_i >= s}) / (n + 1) <= alpha  <=>  at most k = floor(alpha (n + 1)) - 1 scores are >= s.
      const auto n = static_cast<double>(sorted.size());
      const double k = std::max(0.0, std::floor(p.Real("alpha") * (n + 1) * (1 + 1e-12)) - 1);
      return sorted[sorted.size() - 1 - static_cast<size_t>(k)];
    },
};

}  // namespace vedette::outlier
