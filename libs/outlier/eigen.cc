#include "outlier/eigen.h"

#include <Eigen/Eigenvalues>
#include <cmath>

namespace vedette::outlier {

SymmetricEigen EigenOf(std::span<const double> matrix, size_t n) {
  const auto size = static_cast<Eigen::Index>(n);
  const Eigen::Map<const Eigen::MatrixXd> map(matrix.data(), size, size);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(map);
  SymmetricEigen out;
  out.values.assign(solver.eigenvalues().data(), solver.eigenvalues().data() + size);
  out.vectors.assign(solver.eigenvectors().data(), solver.eigenvectors().data() + size * size);
  for (size_t k = 0; k < n; ++k) {
    double* const v = out.vectors.data() + k * n;
    size_t most = 0;
    for (size_t i = 1; i < n; ++i) {
      if (std::fabs(v[i]) > std::fabs(v[most]) * (1 + 1e-12)) most = i;
    }
    const double sign = v[most] < 0 ? -1 : 1;
    for (size_t i = 0; i < n; ++i) v[i] *= sign;
  }
  return out;
}

}  // namespace vedette::outlier
