// Detectors whose score can be differentiated, for explanations that follow its slope.
#pragma once

#include <absl/status/status.h>

#include "base/context.h"
#include "base/matrix.h"

namespace vedette::outlier {

/// Implemented beside Detector; found by dynamic_cast.
class GradientSource {
 public:
  virtual ~GradientSource() = default;
  /// gradients(i, j) = the derivative of row i's score by X(i, j), in the units of the matrix; 0 where the value is
  /// missing. Where the score has a kink, the slope of one side. `gradients` has X's shape. A row's bits do not depend
  /// on the batch. Finite; thread-safe. Errors: CANCELLED, DEADLINE_EXCEEDED.
  virtual absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const = 0;
};

}  // namespace vedette::outlier
