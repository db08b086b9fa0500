// Integrated gradients (Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017): the score's
// slope along the straight way from a baseline to the row, times how far each feature goes:
//     phi_j = (x_j - b_j) Integral_0^1 dF/dx_j (b + t (x - b)) dt,   sum of phi = F(x) - F(b)  (completeness).
//
// The way is cut into pieces, each with 4 Gauss-Legendre points. How far a piece misses completeness is known exactly,
// so only pieces that miss it are halved: about the kinks of a network of ReLUs, where no rule is of high order.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "explain/shapley.h"

namespace vedette::explain {

/// gradients has X's shape.
using GradientFn = std::function<absl::Status(MatrixView X, Matrix& gradients, const Context& ctx)>;

struct IntegratedGradientsOptions {
  /// Of what the pieces miss, added up without signs: this share of |F(x) - F(b)|, plus a hundredth of it of the larger
  /// of |F(x)| and |F(b)| (networks compute in float32).
  double tolerance = 1e-4;
  int64_t gradients = 1 << 14;  ///< at most this many; [32, 1 000 000]
};

struct IntegratedGradientsResult {
  std::vector<double> phi;  ///< per feature
  double expected = 0;      ///< F(b)
  double output = 0;        ///< F(x)
  double missed = 0;        ///< what the pieces miss, added up without signs: at least |expected + sum(phi) - output|
  int64_t gradients = 0;    ///< evaluated
  bool within_tolerance = false;
  bool cut_short = false;  ///< the deadline ended it
};

/// A feature that is not finite in the row or the baseline does not move, and gets 0. Halving goes on until the
/// tolerance is met, the gradients are used up or the deadline has come (after the first round; before it,
/// DEADLINE_EXCEEDED). Deterministic. Errors: INVALID_ARGUMENT for shapes, options and values that are not finite; what
/// the functions return; CANCELLED.
absl::StatusOr<IntegratedGradientsResult> IntegratedGradients(const ScoreFn& score, const GradientFn& gradient,
                                                              std::span<const double> row,
                                                              std::span<const double> baseline,
                                                              const IntegratedGradientsOptions& options,
                                                              const Context& ctx);

}  // namespace vedette::explain
