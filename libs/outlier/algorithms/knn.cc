// Distance to the k-th nearest neighbour (see nearest_neighbors.h).
#include "outlier/nearest_neighbors.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {
    kNeighborCountParam,
    {.name = "method",
     .type = ParamType::kChoice,
     .default_value = "largest",
     .choices = "largest|mean|median",
     .summary = "Which of the k distances is the score: the largest, their mean or their median."},
    kMetricParam,
    kPowerParam,
};

}  // namespace

extern const Descriptor k_knn;
const Descriptor k_knn = {
    .name = "knn",
    .family = "proximity",
    .summary = "Rows far from their nearest neighbours are anomalous: strong on global and local anomalies alike; needs comparable "
               "scales, and misses groups of more than k similar anomalies.",
    .paper = "Ramaswamy, Rastogi, Shim: Efficient algorithms for mining outliers from large data sets. SIGMOD 2000; Angiulli, "
             "Pizzuti: Fast outlier detection in high dimensional spaces. PKDD 2002",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "O(log n d) for few features, O(n d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost { return NeighborCost(n, d, p.Int("n_neighbors"), 1e-7); },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<NearestNeighbors>(params, params.Choice("method"));
    },
};

}  // namespace vedette::outlier
