// Native attribution of the neighbour methods: in which features a row is far from its neighbours.
#pragma once

#include <absl/status/statusor.h>

#include "outlier/detector.h"
#include "outlier/kernels/neighbors.h"

namespace vedette::outlier {

/// contributions(i, j): mean over the k nearest training rows of |x_ij - y_j|^q (q = 2 for Euclidean, where they add up
/// to the mean squared distance; p for Minkowski; else 1). expected(i, j): the median of y_j. A training row with
/// exactly the values of x counts as x itself and is left out (one of them), so that explained training rows are not
/// their own neighbours.
absl::StatusOr<Attribution> NeighborGaps(const NeighborIndex& index, Metric metric, int64_t k, MatrixView X,
                                         const Context& ctx);

}  // namespace vedette::outlier
