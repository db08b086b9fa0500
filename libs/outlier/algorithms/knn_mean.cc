// The mean of the distances to the k nearest neighbours (see nearest_neighbors.h).
#include "outlier/nearest_neighbors.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {kNeighborCountParam, kMetricParam, kPowerParam};

}  // namespace

extern const Descriptor k_knn_mean;
const Descriptor k_knn_mean = {
    .name = "knn_mean",
    .family = "proximity",
    .summary = "The mean distance to the k nearest neighbours: steadier than the k-th distance alone, best with many neighbours (50) "
               "on standardised columns; misses groups of more than k similar anomalies.",
    .paper = "Angiulli, Pizzuti: Fast outlier detection in high dimensional spaces. PKDD 2002",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "O(log n d) for few features, O(n d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost { return NeighborCost(n, d, p.Int("n_neighbors"), 1e-7); },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<NearestNeighbors>(params, "mean");
    },
};

}  // namespace vedette::outlier
