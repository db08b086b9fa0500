// Weighted sums of Gaussian kernels, without writing the kernels down.
#pragma once

#include "outlier/kernels/row_blocks.h"

namespace vedette::outlier {

struct GaussianSum {
  double sum = 0;      ///< of weights[i] * e^(gamma (shift - |x - row i|^2))
  double nearest = 0;  ///< the least |x - row i|^2
};

/// For `count` rows x[q] of rows.features() values; a row's bits do not depend on the others. weights: rows.padded()
/// values (0 beyond the last row), or null for ones. shift (null: zeros): at most the least squared distance. Kernels
/// are off by less than 1e-15 of themselves and 2^-1000.
void GaussianSums(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                  const double* shift, int count, GaussianSum* out);

}  // namespace vedette::outlier
