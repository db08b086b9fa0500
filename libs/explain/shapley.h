// Shapley values of any score by evaluating it: exact over all coalitions, or by the kernel regression of SHAP.
//
// The game: v(S) = mean over background rows b of score(x on the features of S, b elsewhere). A player is a group of
// features that come and go together (the parts of one one-hot column).
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "outlier/coalitions.h"

namespace vedette::explain {

/// scores[i] of each row of X. Called from one thread with many rows at a time.
using ScoreFn = std::function<absl::Status(MatrixView X, std::span<double> scores, const Context& ctx)>;

/// What is explained: a row's score against a background.
struct Game {
  ScoreFn score;
  std::vector<double> row;                    ///< d values
  Matrix background;                          ///< n x d, n >= 1
  std::vector<std::vector<int64_t>> players;  ///< feature indices of each; empty: one player per feature
  /// The same score of rows that are put together from the row and the background, faster; null: there is `score`
  /// alone.
  const outlier::CoalitionSource* coalitions = nullptr;
};

struct ShapleyValues {
  std::vector<double> phi;             ///< per player; expected + sum(phi) = output
  std::vector<double> standard_error;  ///< per player; zeros when exact
  double expected = 0;                 ///< mean score of the background
  double output = 0;                   ///< score of the row
  int64_t coalitions = 0;              ///< evaluated
  bool exact = false;                  ///< all coalitions were
  bool cut_short = false;              ///< the deadline ended the sampling early
};

inline constexpr int kMaxExactPlayers = 13;

/// All 2^M coalitions. Players whose features equal every background row's get 0 and cost nothing. Errors:
/// INVALID_ARGUMENT for shapes, or more than kMaxExactPlayers players that differ; what `score` returns; CANCELLED;
/// DEADLINE_EXCEEDED.
absl::StatusOr<ShapleyValues> ExactShapley(const Game& game, const Context& ctx);

struct KernelShapOptions {
  int64_t coalitions = 2048;  ///< at most this many, beside the empty and the full one; [2, 1 000 000]
};

/// KernelSHAP (Lundberg and Lee, "A unified approach to interpreting model predictions", NeurIPS 2017) with paired
/// sampling (Covert and Lee, "Improving KernelSHAP", AISTATS 2021): sizes s and M - s are enumerated from the outside
/// while the budget covers them, the rest is drawn in complementary pairs with the weight that remains. With a budget
/// of 2^M - 2 it is exact. Standard errors are those of the weighted regression (sandwich estimator over pairs). When
/// the deadline comes near, what was evaluated by then is used (at least M pairs, else DEADLINE_EXCEEDED). The same
/// seed gives the same bits at any thread count. At most 64 differing players. Errors as ExactShapley's.
absl::StatusOr<ShapleyValues> KernelShap(const Game& game, const KernelShapOptions& options, const Context& ctx);

/// v of coalitions: bit p of a mask set = player p takes the row's values. Rows go to the score in batches of at most
/// `kBatchRows`, coalitions as they are where the game says how; between batches the context is asked. The values are
/// the same bits either way.
class CoalitionValues {
 public:
  static constexpr int64_t kBatchRows = 4096;
  /// Errors: INVALID_ARGUMENT when shapes disagree or a feature belongs to two players or none.
  static absl::StatusOr<CoalitionValues> Make(const Game& game);
  /// Players that differ from the background somewhere; masks are over these.
  const std::vector<int64_t>& moving() const { return moving_; }
  size_t players() const { return players_.size(); }
  /// Whether coalitions are scored together: the more at once, the cheaper each.
  bool together() const { return scorer_ != nullptr; }
  absl::Status Evaluate(std::span<const uint64_t> masks, std::span<double> values, const Context& ctx) const;

 private:
  explicit CoalitionValues(const Game& game) : game_(&game) {}
  absl::Status EvaluateRows(std::span<const uint64_t> masks, std::span<double> values, const Context& ctx) const;
  const Game* game_;
  std::unique_ptr<outlier::CoalitionScorer> scorer_;
  std::vector<std::vector<int64_t>> players_;
  std::vector<int64_t> moving_;
};

}  // namespace vedette::explain
