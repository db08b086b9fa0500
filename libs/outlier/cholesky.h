// Small dense factorisations without a matrix library: for Gaussian densities and distances. Row-major, double. The
// context is asked often enough to stop within 100 ms at 2000 columns.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/context.h"

namespace vedette::outlier {

/// The inverse W of the lower Cholesky factor of a symmetric positive definite d x d matrix: x' A^-1 x = |W x|^2, and
/// log det A = -2 sum of log W_ii. Empty when the matrix is not positive definite: when a pivot is at most
/// `least_pivot` of its diagonal element.
absl::StatusOr<std::vector<double>> InverseCholesky(std::span<const double> matrix, size_t d, const Context& ctx,
                                                    double least_pivot = 0);

/// |W (x - center)|^2; with `whitened`, W (x - center) is kept there (d values).
double WhitenedSquare(std::span<const double> W, const double* x, const double* center, size_t d,
                      double* whitened = nullptr);

/// The same for `lanes` (4 or 16) rows side by side, feature by feature.
void WhitenedSquares(std::span<const double> W, const double* tile, int lanes, const double* center, size_t d,
                     double* squares);

/// (W' W) y from `whitened` = W y.
void ApplyPrecision(std::span<const double> W, const double* whitened, size_t d, double* out);

/// Puts rows [begin, begin + count), centred, feature by feature into y[j * kCovarianceRows + r]; gives their weights,
/// or none where each weighs 1.
inline constexpr size_t kCovarianceRows = 128;
using BlockReader = std::function<std::span<const double>(size_t begin, size_t count, double* y)>;
/// Sum of weight y y' over n rows of d features, by `total`. Reads each row once: rows that outgrow the caches cost no
/// more.
absl::StatusOr<std::vector<double>> CovarianceOf(size_t n, size_t d, double total, const BlockReader& read,
                                                 const Context& ctx);

/// Weighted covariance about `center` of row-major rows (weights sum to `total`), symmetric, not regularised.
absl::StatusOr<std::vector<double>> Covariance(std::span<const double> rows, std::span<const double> weights,
                                               double total, const double* center, size_t d, const Context& ctx);

}  // namespace vedette::outlier
