// The minimum covariance determinant by FastMCD: the part of the rows whose covariance is smallest.
#pragma once

#include <absl/status/statusor.h>

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "base/context.h"

namespace vedette::outlier {

/// Location and covariance of a subset of rows.
struct RobustFit {
  Eigen::VectorXd location;
  Eigen::MatrixXd covariance;
  double log_determinant = 0;  ///< -infinity when singular
};

/// Z: d x n, one subject per column, finite; h: size of the subset, 1 <= h <= n. Rousseeuw and Van Driessen, "A fast
/// algorithm for the minimum covariance determinant estimator", Technometrics 1999, started from random subsets of size
/// h as scikit-learn's MinCovDet does (30 of them; 500 on up to five subsets of 300 rows when n > 500).
/// The same seed gives the same bits at any thread count.
absl::StatusOr<RobustFit> FastMcd(const Eigen::MatrixXd& Z, int64_t h, const Context& ctx);

/// A matrix W (d x r) with W W' = the pseudo-inverse of a covariance; eigenvalues up to d * eps * the largest count as
/// 0.
absl::StatusOr<Eigen::MatrixXd> InverseRoot(const Eigen::MatrixXd& covariance, const Context& ctx);

/// Squared Mahalanobis distances of the columns of Z, |W' (z - location)|^2. Incomplete where ctx says to stop: callers
/// ask it.
Eigen::VectorXd SquaredDistances(const Eigen::MatrixXd& Z, const Eigen::VectorXd& location,
                                 const Eigen::MatrixXd& covariance, const Context& ctx);

/// Mean and covariance (divided by the number) of the listed columns of Z; not empty. Incomplete where ctx says to
/// stop.
RobustFit FitRows(const Eigen::MatrixXd& Z, const std::vector<int64_t>& rows, const Context& ctx);

}  // namespace vedette::outlier
