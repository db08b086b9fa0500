// SO-GAAL: one generator aims at the rows themselves, the discriminator learns what lies outside. Liu et al. 2019.
#include "neural/active_learning.h"
#include "neural/algorithms.h"

namespace vedette::neural {
namespace {

using outlier::ParamSet;
using outlier::ParamSpec;

constexpr ParamSpec kParams[] = {
    kStopParam,
    {.name = "hidden", .default_value = "32", .min = 1, .max = 4096, .summary = "units of the discriminator's hidden layer"},
    BatchParam("500"),
    RateParam("0.01"),
    kGeneratorRateParam,
    kDeviceParam,
    kDeviceIndexParam,
};

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) { return ActiveLearningCost(p, 1, rows, features); }

}  // namespace

extern const outlier::Descriptor k_so_gaal;
const outlier::Descriptor k_so_gaal = {
    .name = "so_gaal",
    .family = "neural",
    .summary = "Rows that a classifier of rows against generated points takes for generated; with one generator clusters can be missed.",
    .paper = "Liu et al., \"Generative adversarial active learning for unsupervised outlier detection\", TKDE 2019",
    .params = kParams,
    .deterministic = false,
    .explains = false,
    .fit_cost = "O(epochs n d^2)",
    .score_cost = "O(d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) { return MakeActiveLearning(params, 1); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
