// The median of the distances to the k nearest neighbours (see nearest_neighbors.h).
#include "outlier/nearest_neighbors.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kParams[] = {kNeighborCountParam, kMetricParam, kPowerParam};

}  // namespace

extern const Descriptor k_knn_median;
const Descriptor k_knn_median = {
    .name = "knn_median",
    .family = "proximity",
    .summary = "The median distance to the k nearest neighbours: one odd neighbour more or less changes nothing. Needs comparable "
               "scales, and misses groups of more than k / 2 similar anomalies.",
    .paper = "Angiulli, Pizzuti: Fast outlier detection in high dimensional spaces. PKDD 2002",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "O(log n d) for few features, O(n d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost { return NeighborCost(n, d, p.Int("n_neighbors"), 1e-7); },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<NearestNeighbors>(params, "median");
    },
};

}  // namespace vedette::outlier
