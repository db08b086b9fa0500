#include "outlier/eigen.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/status.h"

namespace vedette::outlier {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

/// A = Q T Q': T's diagonal and what lies below it; Q takes A's place.
struct Tridiagonal {
  VectorXd diagonal, below;
};

absl::StatusOr<Tridiagonal> Reduce(MatrixXd& A, const Context& ctx) {
  const Index n = A.rows();
  Tridiagonal t{VectorXd::Zero(n), VectorXd::Zero(n)};
  VectorXd scale = VectorXd::Zero(n);  // of the reflections I - scale v v', v kept below the diagonal
  for (Index k = 0; k + 1 < n; ++k) {
    if (k % 4 == 0 || n > 1000) RETURN_IF_ERROR(ctx.Check());
    const Index rest = n - k - 1;
    auto v = A.col(k).tail(rest);
    const double most = v.cwiseAbs().maxCoeff();
    if (rest == 1 || !(most > 0)) {
      t.below[k] = v[0];
      v.setZero();
      continue;
    }
    const double norm = most * (v / most).norm(), target = v[0] > 0 ? -norm : norm;
    v[0] -= target;
    v /= v.cwiseAbs().maxCoeff();
    scale[k] = 2 / v.squaredNorm();
    t.below[k] = target;
    auto sub = A.bottomRightCorner(rest, rest);
    VectorXd w = scale[k] * (sub.selfadjointView<Eigen::Lower>() * v);
    w -= (0.5 * scale[k] * w.dot(v)) * v;
    sub.selfadjointView<Eigen::Lower>().rankUpdate(VectorXd(v), w, -1);
  }
  t.diagonal = A.diagonal();
  MatrixXd Q = MatrixXd::Identity(n, n);
  for (Index k = n - 2; k >= 0; --k) {
    if (k % 4 == 0 || n > 1000) RETURN_IF_ERROR(ctx.Check());
    if (scale[k] == 0) continue;
    const Index rest = n - k - 1;
    const VectorXd v = A.col(k).tail(rest);
    auto sub = Q.bottomRightCorner(rest, rest);
    const Eigen::RowVectorXd products = scale[k] * (v.transpose() * sub);
    sub.noalias() -= v * products;
  }
  A = std::move(Q);
  return t;
}

/// Columns of Q and values of T by implicit QL.
absl::Status Diagonalise(Tridiagonal& t, MatrixXd& Q, const Context& ctx) {
  const Index n = Q.rows();
  VectorXd& d = t.diagonal;
  VectorXd& e = t.below;
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  // Rounding of the largest values is all that the smallest consist of.
  const double least =
      std::max(0.5 * (d.cwiseAbs() + e.cwiseAbs()).maxCoeff(), std::numeric_limits<double>::min() / kEps);
  for (Index l = 0; l < n; ++l) {
    for (int sweep = 0;; ++sweep) {
      Index m = l;
      while (m + 1 < n && std::fabs(e[m]) > kEps * std::max(least, std::fabs(d[m]) + std::fabs(d[m + 1]))) ++m;
      if (m == l) break;
      if (sweep == 60) return absl::InternalError("an eigenvalue does not converge");
      RETURN_IF_ERROR(ctx.Check());
      double g = (d[l + 1] - d[l]) / (2 * e[l]), r = std::hypot(g, 1.0);
      g = d[m] - d[l] + e[l] / (g + std::copysign(r, g));
      double s = 1, c = 1, p = 0;
      Index i = m - 1;
      for (; i >= l; --i) {
        const double f = s * e[i], b = c * e[i];
        r = std::hypot(f, g);
        e[i + 1] = r;
        if (r == 0) {  // an early deflation
          d[i + 1] -= p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        double* const low = Q.col(i).data();
        double* const high = Q.col(i + 1).data();
        for (Index k = 0; k < n; ++k) {
          const double x = high[k], y = low[k];
          high[k] = s * y + c * x;
          low[k] = c * y - s * x;
        }
      }
      if (r == 0 && i >= l) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SymmetricEigen> EigenOf(std::span<const double> matrix, size_t n, const Context& ctx) {
  const auto size = static_cast<Index>(n);
  MatrixXd Q = Eigen::Map<const MatrixXd>(matrix.data(), size, size);
  const double most = n == 0 ? 0 : Q.cwiseAbs().maxCoeff();
  const double unit = most > 0 ? std::ldexp(1.0, std::clamp(-std::ilogb(most), -1000, 1000)) : 1;
  Q *= unit;  // squares neither overflow nor vanish
  ASSIGN_OR_RETURN(Tridiagonal t, Reduce(Q, ctx));
  RETURN_IF_ERROR(Diagonalise(t, Q, ctx));
  std::vector<Index> order(n);
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return t.diagonal[a] < t.diagonal[b]; });
  SymmetricEigen out;
  out.vectors.resize(n * n);
  for (size_t k = 0; k < n; ++k) {
    out.values.push_back(t.diagonal[order[k]] / unit);
    double* const v = out.vectors.data() + k * n;
    std::copy_n(Q.col(order[k]).data(), n, v);
    size_t largest = 0;
    for (size_t i = 1; i < n; ++i) {
      if (std::fabs(v[i]) > std::fabs(v[largest]) * (1 + 1e-12)) largest = i;
    }
    const double sign = v[largest] < 0 ? -1 : 1;
    for (size_t i = 0; i < n; ++i) v[i] *= sign;
  }
  return out;
}

}  // namespace vedette::outlier
