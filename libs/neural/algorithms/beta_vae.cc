// Variational autoencoder whose divergence weighs beta times as much. Higgins et al. 2017.
// Codes are squeezed harder and carry fewer, more independent factors; with a large beta none, and the score is a distance.
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
    {.name = "beta", .type = ParamType::kReal, .default_value = "4", .min = 0, .max = 1000,
     .summary = "weight of the divergence of the codes from a standard normal; 1 is the plain method"},
    EpochsParam("30"),
    BatchParam("32"),
    RateParam("0.001"),
    kDeviceParam,
    kDeviceIndexParam,
};

}  // namespace

extern const outlier::Descriptor k_beta_vae;
const outlier::Descriptor k_beta_vae = {
    .name = "beta_vae",
    .family = "neural",
    .summary = "Rows that a few independent factors do not explain; a large beta leaves no factor, and the score is then a distance from the mean.",
    .paper = "Higgins et al., \"beta-VAE: learning basic visual concepts with a constrained variational framework\", ICLR 2017",
    .params = kParams,
    .deterministic = false,
    .explains = true,
    .fit_cost = "O(epochs n d)",
    .score_cost = "O(d)",
    .cost = VariationalCost,
    .make = [](const outlier::ParamSet& params) { return MakeVariational(params, params.Real("beta"), /*mean_error=*/false); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
