// Eigenvalues of symmetric matrices, behind an interface without Eigen's types: they are slow to compile.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace vedette::outlier {

struct SymmetricEigen {
  std::vector<double> values;   ///< ascending
  std::vector<double> vectors;  ///< vector k is vectors[k * n .. k * n + n), of unit length; its largest part is positive
};

/// Of a symmetric n x n matrix (only one triangle is read), all finite.
SymmetricEigen EigenOf(std::span<const double> matrix, size_t n);

}  // namespace vedette::outlier
