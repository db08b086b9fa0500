// Means of rows weighted by Gaussian kernels: where the training rows near a row lie.
#pragma once

#include <vector>

#include "outlier/kernels/row_blocks.h"

namespace vedette::outlier {

/// What a form is given: `count` rows x, and whether |x - y|^2 is taken as |x|^2 + |y|^2 - 2 x.y.
struct GaussianMeanRows {
  const RowBlocks* rows = nullptr;
  const double* norms = nullptr;    ///< |y|^2, padded() values
  const double* weights = nullptr;  ///< padded() values, or null for ones
  double gamma = 0;
  bool by_products = false;
  double* means = nullptr;  ///< count x features
};

class GaussianMeans {
 public:
  static constexpr int kTogether = 4;

  GaussianMeans() = default;
  /// Keeps nothing of `rows` but their norms.
  explicit GaussianMeans(const RowBlocks& rows);
  /// means[q * d + j] = sum over i of w_i row_ij / sum over i of w_i, w_i = weights[i] e^(-gamma |x[q] - row i|^2), for
  /// count <= kTogether rows; weights as GaussianSums has them, not all 0. `rows` are those of the constructor. A row's
  /// bits do not depend on the others. The w_i are off by less than 2e-11 of themselves: where products of rows would
  /// lose more than that, gaps are squared instead.
  void Of(const RowBlocks& rows, const double* weights, double gamma, const double* const* x, int count,
          double* means) const;

  /// The forms of the loops, for `count` <= kTogether rows; all give the same bits.
  using Form = void (*)(const GaussianMeanRows&, const double* const* x, int count);
  static void Portable(const GaussianMeanRows& in, const double* const* x, int count);
  static void Avx512(const GaussianMeanRows& in, const double* const* x, int count);

 private:
  std::vector<double> norms_;
  double largest_ = 0;
};

}  // namespace vedette::outlier
