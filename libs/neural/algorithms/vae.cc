// Variational autoencoder: a row is coded as a small normal cloud and drawn back from it. Kingma, Welling 2014.
// Trained on the evidence bound with the mean error over the columns; scored by the code's mean, so that scores repeat.
#include "neural/algorithms.h"
#include "neural/network_detector.h"
#include "neural/variational.h"

namespace vedette::neural {
namespace {

using outlier::ParamSpec;
using outlier::ParamType;

constexpr ParamSpec kParams[] = {
    {.name = "hidden1", .default_value = "128", .min = 1, .max = 4096, .summary = "units of the layers next to the columns"},
    {.name = "hidden2", .default_value = "64", .min = 1, .max = 4096, .summary = "units of the second and the last but one layer"},
    {.name = "hidden3", .default_value = "32", .min = 1, .max = 4096, .summary = "units of the layers next to the code"},
    {.name = "latent", .default_value = "2", .min = 1, .max = 1024, .summary = "numbers of a row's code"},
    EpochsParam("30"),
    BatchParam("32"),
    RateParam("0.001"),
    kDeviceParam,
    kDeviceIndexParam,
};

}  // namespace

extern const outlier::Descriptor k_vae;
const outlier::Descriptor k_vae = {
    .name = "vae",
    .family = "neural",
    .summary = "Rows that a smooth map from a few normal codes does not reach; scored without sampling; weak below a few hundred rows.",
    .paper = "Kingma, Welling, \"Auto-encoding variational Bayes\", ICLR 2014; An, Cho, \"Variational autoencoder based anomaly detection\", 2015",
    .params = kParams,
    .deterministic = false,
    .explains = true,
    .fit_cost = "O(epochs n d)",
    .score_cost = "O(d)",
    .cost = VariationalCost,
    .make = [](const outlier::ParamSet& params) { return MakeVariational(params, 1.0, /*mean_error=*/true); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
