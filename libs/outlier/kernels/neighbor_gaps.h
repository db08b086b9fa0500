// Native attribution of the neighbour methods: in which features a row is far from its neighbours.
#pragma once

#include <absl/status/statusor.h>

#include <functional>

#include "outlier/detector.h"
#include "outlier/kernels/neighbors.h"

namespace vedette::outlier {

/// What a row's contributions are to add up to, by what NeighborIndex::Of found; called from any thread.
using GapTotal = std::function<double(std::span<const double> distances, std::span<const int32_t> rows)>;

/// contributions(i, j): mean over the k nearest training rows of |x_ij - y_j|^q (q = 2 for Euclidean, where they add up
/// to the mean squared distance; p for Minkowski; else 1). expected(i, j): the median of y_j. A training row with
/// exactly the values of x counts as x itself and is left out (one of them), so that explained training rows are not
/// their own neighbours. With `total`, contributions are shares of it (unless all are 0), and `ties` are those that it
/// sees. One search for both.
absl::StatusOr<Attribution> NeighborGaps(const NeighborIndex& index, Metric metric, int64_t k, MatrixView X,
                                         const Context& ctx, int64_t ties = 0, const GapTotal& total = nullptr);

}  // namespace vedette::outlier
