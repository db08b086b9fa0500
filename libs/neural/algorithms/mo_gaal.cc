// MO-GAAL: several generators, each aiming at another part of the rows, so that no cluster is left out. Liu et al. 2019.
#include "neural/active_learning.h"
#include "neural/algorithms.h"

namespace vedette::neural {
namespace {

using outlier::ParamSet;
using outlier::ParamSpec;

constexpr ParamSpec kParams[] = {
    kStopParam,
    {.name = "generators", .default_value = "10", .min = 1, .max = 64, .summary = "number of generators (k of the paper)"},
    {.name = "hidden", .default_value = "32", .min = 1, .max = 4096, .summary = "units of the discriminator's hidden layer"},
    BatchParam("500"),
    RateParam("0.01"),
    kGeneratorRateParam,
    kDeviceParam,
    kDeviceIndexParam,
};

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) { return ActiveLearningCost(p, p.Int("generators"), rows, features); }

}  // namespace

extern const outlier::Descriptor k_mo_gaal;
const outlier::Descriptor k_mo_gaal = {
    .name = "mo_gaal",
    .family = "neural",
    .summary = "As so_gaal with several generators that aim at different parts of the rows; dearer, and still sensitive to the seed.",
    .paper = "Liu et al., \"Generative adversarial active learning for unsupervised outlier detection\", TKDE 2019",
    .params = kParams,
    .deterministic = false,
    .explains = false,
    .fit_cost = "O(epochs n d^2)",
    .score_cost = "O(d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) { return MakeActiveLearning(params, params.Int("generators")); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
