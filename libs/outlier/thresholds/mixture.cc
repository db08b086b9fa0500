// Two kinds of rows: the scores are a mixture of a bulk and a higher component, fitted by expectation-maximisation; the
// threshold is where a score is as likely to be of the higher one as `probability` says.
#include <algorithm>
#include <cmath>
#include <vector>

#include "outlier/threshold.h"
#include "outlier/threshold_rule.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {
    {.name = "probability",
     .type = ParamType::kReal,
     .default_value = "0.5",
     .min = 0.01,
     .max = 0.99,
     .summary = "Probability of belonging to the higher component, from which a row is odd."},
    {.name = "bulk",
     .type = ParamType::kChoice,
     .default_value = "gamma",
     .choices = "gamma|gaussian",
     .summary = "Law of the normal rows' scores: gamma may be skewed."},
};

double LogGamma(double x) {
  int sign = 0;
  return lgamma_r(x, &sign);
}

/// One component by its first two moments; a gamma law starts at 0.
struct Component {
  bool gamma;
  double weight = 0.5, mean = 0, variance = 1;
  double shape = 1, rate = 1, constant = 0;

  void Prepare(double least) {
    variance = std::max(variance, least);
    if (gamma) {
      shape = std::clamp(mean * mean / variance, 1e-3, 1e8);
      rate = shape / std::max(mean, 1e-12);
      constant = std::log(weight) + shape * std::log(rate) - LogGamma(shape);
    } else {
      constant = std::log(weight) - 0.5 * std::log(2 * 3.141592653589793 * variance);
    }
  }
  double Log(double x) const {
    return gamma ? constant + (shape - 1) * std::log(x) - rate * x : constant - 0.5 * (x - mean) * (x - mean) / variance;
  }
};

double Posterior(const Component& bulk, const Component& high, double x) {
  return 1 / (1 + std::exp(std::clamp(bulk.Log(x) - high.Log(x), -700.0, 700.0)));
}

/// x: ascending, in (0, 1]. Fits both in place; the high one starts with the top tenth.
void Fit(const std::vector<double>& x, Component& bulk, Component& high) {
  const auto n = static_cast<double>(x.size());
  std::vector<double> part(x.size());
  for (size_t i = 0; i < x.size(); ++i) part[i] = static_cast<double>(i) >= 0.9 * n ? 0.99 : 0.01;
  double spread = 0;
  for (const double v : x) spread += (v - x[x.size() / 2]) * (v - x[x.size() / 2]) / n;
  for (int round = 0; round < 200; ++round) {
    double moved = 0;
    for (Component* c : {&bulk, &high}) {
      double weight = 1e-12, mean = 0, squares = 0;
      const auto share = [&](size_t i) { return c == &high ? part[i] : 1 - part[i]; };
      for (size_t i = 0; i < x.size(); ++i) weight += share(i), mean += share(i) * x[i];
      mean /= weight;
      for (size_t i = 0; i < x.size(); ++i) squares += share(i) * (x[i] - mean) * (x[i] - mean);
      c->weight = std::clamp(weight / n, 1e-9, 1.0), c->mean = mean, c->variance = squares / weight;
      c->Prepare(1e-4 * spread + 1e-30);
    }
    for (size_t i = 0; i < x.size(); ++i) {
      const double next = Posterior(bulk, high, x[i]);
      moved += std::fabs(next - part[i]) / n;
      part[i] = next;
    }
    if (moved < 1e-7) break;
  }
}

absl::StatusOr<double> Find(std::span<const double> sorted, const ParamSet& p) {
  const double least = sorted.front(), range = sorted.back() - least;
  if (!(range > 0) || sorted.size() < 10) return sorted.back();
  // At most 20 000 of them, evenly spaced, scaled to (0, 1].
  const size_t take = std::min<size_t>(sorted.size(), 20000);
  std::vector<double> x(take);
  for (size_t i = 0; i < take; ++i) x[i] = ((sorted[i * sorted.size() / take] - least) / range + 1e-6) / (1 + 1e-6);
  Component bulk{.gamma = p.Choice("bulk") == "gamma"}, high{.gamma = false};
  Fit(x, bulk, high);
  if (!(high.mean > bulk.mean)) return sorted.back();
  // From the top down as long as the higher component is the likelier: a wide one may win again far below the bulk.
  const double wanted = p.Real("probability");
  if (Posterior(bulk, high, x.back()) < wanted) return sorted.back();
  size_t at = take - 1;
  while (at > 0 && Posterior(bulk, high, x[at - 1]) >= wanted) --at;
  if (at == 0) return sorted.back();  // one component is enough
  double low = x[at - 1], up = x[at];
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + up);
    (Posterior(bulk, high, middle) >= wanted ? up : low) = middle;
  }
  return least + (low * (1 + 1e-6) - 1e-6) * range;
}

}  // namespace

extern const ThresholdDescriptor t_mixture;
const ThresholdDescriptor t_mixture = {
    .name = "mixture",
    .summary = "Where a second component of the scores takes over; flags nothing when one law explains them all.",
    .paper = "J. Gao, P.-N. Tan, Converting output scores from outlier detection algorithms into probability estimates, ICDM, 2006",
    .params = kParams,
    .find = Find,
};

}  // namespace vedette::outlier
