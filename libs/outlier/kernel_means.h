// Where the rows near each of many rows lie, for attributions by kernels.
#pragma once

#include <absl/container/fixed_array.h>

#include <algorithm>

#include "outlier/kernels/gaussian_means.h"
#include "outlier/row_detector.h"

namespace vedette::outlier {

/// part(x_j, mean_j) of rows [begin, end) of X and of the `means` of `rows` by their Gaussian kernels, which are what
/// is expected.
template <typename Part>
void KernelMeanParts(const RowUnit& unit, MatrixView X, int64_t begin, int64_t end, const GaussianMeans& means,
                     const RowBlocks& rows, const RowParts& out, const Part& part) {
  constexpr int kTogether = GaussianMeans::kTogether;
  const auto d = static_cast<size_t>(X.cols);
  absl::FixedArray<double, 512> work(2 * kTogether * d);
  double* const mean = work.data() + kTogether * d;
  const double* x[kTogether];
  for (int q = 0; q < kTogether; ++q) x[q] = work.data() + static_cast<size_t>(q) * d;
  for (int64_t at = begin; at < end; at += kTogether) {
    const auto count = static_cast<size_t>(std::min<int64_t>(kTogether, end - at));
    for (size_t q = 0; q < count; ++q) unit.Read(X, at + static_cast<int64_t>(q), work.data() + q * d);
    means.Of(rows, x, static_cast<int>(count), mean);
    for (size_t j = 0; j < d; ++j) {
      const RowParts own = out.From(at - begin + static_cast<int64_t>(j) * out.stride);
      for (size_t q = 0; q < count; ++q) {
        own.contributions[q] = part(x[q][j], mean[q * d + j]);
        own.expected[q] = mean[q * d + j];
      }
    }
  }
}

}  // namespace vedette::outlier
