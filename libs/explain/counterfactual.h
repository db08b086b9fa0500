// The fewest changes that would make a row normal, verified by scoring the changed row (Wachter, Mittelstadt, Russell,
// "Counterfactual explanations without opening the black box", 2018; feasibility constraints as in Mothilal, Sharma, Tan,
// "Explaining machine learning classifiers through diverse counterfactual explanations", FAT* 2020).
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "explain/shapley.h"

namespace vedette::explain {

struct CounterfactualOptions {
  double threshold = 0;                        ///< a score up to this is normal
  std::vector<std::vector<int64_t>> players;   ///< features that change together (one-hot groups); empty: each alone
  std::vector<bool> frozen;                    ///< per player: may not change; empty: all may
  std::vector<double> low, high;               ///< per feature: the range of allowed values; empty: any
  std::vector<bool> codes;                     ///< per feature: codes of categories, of which the commonest is usual; empty: none
  int max_changes = 8;                         ///< [1, 64]
  int64_t max_evaluations = 20000;             ///< rows scored at most
};

struct Counterfactual {
  bool found = false;
  bool already_normal = false;       ///< nothing needs to change
  std::vector<int64_t> changed;      ///< players, the largest single effect first
  std::vector<double> row;           ///< the changed row, d values: the original where nothing was found
  double score = 0;                  ///< of `row`, scored alone
  bool minimal = false;              ///< no smaller set works towards the same target: all were tried
};

/// Replaces features of `row` by those of a normal target: first the reference's median row (the nearest actual row for
/// groups), then rows of `reference` that score normal, nearest first. Sets are found greedily, thinned, and then all
/// smaller sets are tried while the budget lasts. Values are cut to their ranges before scoring; a group is replaced as a
/// whole, so that one-hot rows stay one-hot. With infinitely many ties the earlier player wins: deterministic. Errors:
/// INVALID_ARGUMENT for shapes and options; what `score` returns; CANCELLED. A passed deadline ends the search with the
/// best verified row so far.
absl::StatusOr<Counterfactual> FindCounterfactual(const ScoreFn& score, const std::vector<double>& row,
                                                  MatrixView reference, const CounterfactualOptions& options,
                                                  const Context& ctx);

/// The same towards one given target row.
absl::StatusOr<Counterfactual> CounterfactualTowards(const ScoreFn& score, const std::vector<double>& row,
                                                     const std::vector<double>& target,
                                                     const CounterfactualOptions& options, const Context& ctx);

}  // namespace vedette::explain
