// Peaks over threshold: the tail of the training scores beyond a high level gives the score of any smaller risk.
#include "outlier/extreme_values.h"
#include "outlier/threshold.h"
#include "outlier/threshold_rule.h"

#include "base/status.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {
    {.name = "risk",
     .type = ParamType::kReal,
     .default_value = "0.001",
     .min = 1e-12,
     .max = 0.4,
     .summary = "Chance that a normal row exceeds the threshold."},
    {.name = "level",
     .type = ParamType::kReal,
     .default_value = "0.9",
     .min = 0.5,
     .max = 0.999,
     .summary = "Share of the scores below the level that the tail begins at; 0.98 where there are many thousands."},
};

absl::StatusOr<double> Find(std::span<const double> sorted, const ParamSet& p) {
  const double level = Percentile(sorted, 100 * p.Real("level")), risk = p.Real("risk");
  std::vector<double> excesses;
  for (const double s : sorted) {
    if (s > level) excesses.push_back(s - level);
  }
  const double above = static_cast<double>(excesses.size()) / static_cast<double>(sorted.size());
  if (risk >= 1 - p.Real("level")) {
    return InvalidArgument("risk {} is not below 1 - level = {:.6g}: use a lower level", risk, 1 - p.Real("level"));
  }
  if (excesses.empty() || above <= risk) return sorted.back();  // no tail: scores that are equal, or too few of them
  return TailQuantile(FitParetoTail(excesses), level, above, risk);
}

}  // namespace

extern const ThresholdDescriptor t_pot;
const ThresholdDescriptor t_pot = {
    .name = "pot",
    .summary = "Extrapolates the scores' own tail to a chosen risk; needs some dozens of scores beyond the level, and odd rows among "
               "them make it higher.",
    .paper = "A. Siffer, P.-A. Fouque, A. Termier, C. Largouet, Anomaly detection in streams with extreme value theory, KDD, 2017",
    .params = kParams,
    .find = Find,
};

}  // namespace vedette::outlier
