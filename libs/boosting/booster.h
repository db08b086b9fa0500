// Gradient boosting of trees by libxgboost (Chen, Guestrin, "XGBoost: a scalable tree boosting system", KDD 2016),
// through its C interface. The only unit that knows it: what comes out are trees of our own form, so that no stored
// bytes ever reach it.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

#include "base/context.h"
#include "boosting/boosted_trees.h"

namespace vedette::boosting {

struct BoosterOptions {
  int64_t trees = 100;
  int64_t depth = 3;
  double learning_rate = 0.1;
  double min_child_weight = 1;
  double reg_lambda = 1;
  double subsample = 1;        ///< share of the rows that each tree sees, (0, 1]
  double positive_weight = 1;  ///< of rows with label 1, against 1 for the others
};

/// Trees whose sum is the log-odds that a row's label is 1. rows: n x features, row by row, finite, below 1e37 in
/// magnitude; labels: n times 0 or 1. Learned by one thread, so the same rows, labels and ctx.seed give the same bits.
/// Splits are exact up to 50 000 rows, between 256 bins of each feature above. Errors: FAILED_PRECONDITION without
/// libxgboost, naming the package; INTERNAL with its own words; CANCELLED; DEADLINE_EXCEEDED. Those two come at once,
/// while the library ends its round (seconds for the first of a million rows) with memory of its own.
absl::StatusOr<BoostedTrees> TrainTrees(std::vector<float> rows, int64_t features, std::vector<float> labels,
                                        const BoosterOptions& options, const Context& ctx);

}  // namespace vedette::boosting
