// Eigenvalues of symmetric matrices, behind an interface without Eigen's types: they are slow to compile.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <span>
#include <vector>

#include "base/context.h"

namespace vedette::outlier {

struct SymmetricEigen {
  std::vector<double> values;  ///< ascending
  std::vector<double>
      vectors;  ///< vector k is vectors[k * n .. k * n + n), of unit length; its largest part is positive
};

/// Of a symmetric n x n matrix (only one triangle is read), all finite: reduction to a tridiagonal matrix by
/// Householder's reflections, then implicit QL (Golub, Van Loan, Matrix Computations, 8.3). CANCELLED and
/// DEADLINE_EXCEEDED within 100 ms up to 5000 columns; INTERNAL if a value does not converge.
absl::StatusOr<SymmetricEigen> EigenOf(std::span<const double> matrix, size_t n, const Context& ctx);

}  // namespace vedette::outlier
