// Native attribution of the neighbour methods: in which features a row is far from its neighbours.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <optional>

#include "outlier/detector.h"
#include "outlier/kernels/neighbors.h"

namespace vedette::outlier {

/// A row's score, by what NeighborIndex::Of found; called from any thread.
using GapScore = std::function<double(std::span<const double> distances, std::span<const int32_t> rows)>;

struct GapsOptions {
  GapScore score = nullptr;  ///< the attribution's scores come from it; empty without it
  int64_t ties = 0;          ///< that it sees, as NeighborIndex::Of has them
  int64_t seen = 0;          ///< it sees so many neighbours, where they are more than k
  /// Contributions are shares of what the score is above this (unless all are 0); without it they are gaps.
  std::optional<double> shares_above = {};
};

/// contributions(i, j): mean over the k nearest training rows of |x_ij - y_j|^q (q = 2 for Euclidean, where they add up
/// to the mean squared distance; p for Minkowski; else 1). expected(i, j): the median of y_j. A training row with
/// exactly the values of x counts as x itself and is left out (one of them), so that explained training rows are not
/// their own neighbours. One search for all.
absl::StatusOr<Attribution> NeighborGaps(const NeighborIndex& index, Metric metric, int64_t k, MatrixView X,
                                         const Context& ctx, const GapsOptions& options = {});

}  // namespace vedette::outlier
