// What each split of an isolation tree takes off the path that was to be expected of a row (see iforest.cc, Explain),
// for many rows at once.
#pragma once

#include <cstdint>

#include "outlier/kernels/isolation_tree.h"

namespace vedette::outlier {

/// parts[row * features + f] += path_length of the split less that of the child, for every split on f on the row's
/// path, from the root down: the same bits for any number of rows. `rows`: count x features as FloatMap::Map gives
/// them, row by row.
void AddPathParts(const IsolationTree& tree, const float* rows, int64_t count, int64_t features, double* parts);

}  // namespace vedette::outlier
