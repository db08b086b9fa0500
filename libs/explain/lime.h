// LIME for tables (Ribeiro, Singh, Guestrin, "Why should I trust you?", KDD 2016): a weighted linear model of the score
// near a row.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "explain/shapley.h"

namespace vedette::explain {

enum class LimeMode {
  kAroundRow,   ///< normal draws about the row, one training standard deviation wide: for anomaly scores
  kAroundMean,  ///< about the training mean: far from an anomaly nothing is ever drawn there
  kQuartile,  ///< draws from the training distribution by quartile bins; the coefficient is that of "in the row's bin"
};

struct LimeOptions {
  LimeMode mode = LimeMode::kAroundRow;
  int64_t samples = 5000;   ///< [10, 1 000 000], the row itself among them
  double kernel_width = 0;  ///< in standard deviations; 0: 0.75 sqrt(features)
  double ridge = 1;         ///< penalty on the squared coefficients beside the weighted squared error
};

inline constexpr double kLimeUsable = 0.5;
inline constexpr double kLimeFlat = 0.1;

struct LimeFit {
  std::vector<double> coefficients;    ///< per feature: of (x - mean) / sd, or of "in the row's bin" (quartile mode)
  std::vector<double> standard_error;  ///< of the coefficients, by the residuals (sandwich estimator)
  std::vector<double> centre;          ///< per feature: what the contribution is counted from, in the matrix's units
  std::vector<double> contributions;  ///< coefficient times how far the row is from the centre; sums up with `expected`
  double intercept = 0;
  double expected = 0;      ///< the linear model's value at the centre
  double prediction = 0;    ///< the linear model's value at the row
  double output = 0;        ///< the score of the row
  double r2 = 0;            ///< weighted, of the linear model; below kLimeUsable it should not be relied on
  double spread = 0;        ///< weighted standard deviation of the draws' scores: all that coefficients can tell of
  double usual_spread = 0;  ///< standard deviation of the reference rows' scores
  /// The score hardly changes near the row, as a forest's far from all rows: the coefficients are small because of
  /// where the row is, and R^2, which is a share of that spread, does not show it.
  bool flat() const { return !(spread > kLimeFlat * usual_spread); }
};

/// Fits about `row` with the spread of `reference` (training or background rows, at least 2). Distances are Euclidean
/// in standard deviations, weights exp(-d^2 / (2 width^2)). A feature that is constant in `reference` keeps its value
/// and gets 0. The centre is the reference's mean. Seed and row give the same bits at any thread count. Errors:
/// INVALID_ARGUMENT for shapes and options; what `score` returns; CANCELLED; DEADLINE_EXCEEDED.
absl::StatusOr<LimeFit> Lime(const ScoreFn& score, std::span<const double> row, MatrixView reference,
                             const LimeOptions& options, const Context& ctx);

}  // namespace vedette::explain
