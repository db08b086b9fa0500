#include "outlier/kernels/gaussian_means.h"

#include <absl/container/fixed_array.h>

#include <algorithm>

#include "outlier/kernels/simd.h"
// After it.
#include "outlier/kernels/gaussian_means_impl.h"

namespace vedette::outlier {

void GaussianMeans::Portable(const GaussianMeanRows& in, const double* const* x, int count) {
  absl::FixedArray<double, 1024> work(in.rows->features() * kTogether * 9);
  if (count == kTogether) return MeansOf<F64x4, kTogether, 1, 2>(in, x, work.data());
  GaussianMeanRows one = in;
  for (int q = 0; q < count; ++q, one.means += in.rows->features()) MeansOf<F64x4, 1, 4, 8>(one, x + q, work.data());
}

GaussianMeans::GaussianMeans(const RowBlocks& rows) : norms_(rows.padded(), 0) {
  for (size_t i = 0; i < rows.padded(); ++i) {
    for (size_t j = 0; j < rows.features(); ++j) norms_[i] += rows.at(i, j) * rows.at(i, j);
    if (i < rows.rows()) largest_ = std::max(largest_, norms_[i]);
  }
}

void GaussianMeans::Of(const RowBlocks& rows, const double* weights, double gamma, const double* const* x, int count,
                       double* means) const {
  Form form = Portable;
#if defined(__x86_64__)
  static const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  if (avx512) form = Avx512;
#endif
  const size_t d = rows.features();
  std::vector<double> ones;
  if (weights == nullptr && gamma < 1e-200) {  // even what fills up the last block would count
    ones.assign(rows.padded(), 0);
    std::fill_n(ones.begin(), rows.rows(), 1.0);
    weights = ones.data();
  }
  bool by_products[kTogether] = {};
  for (int q = 0; q < count; ++q) {
    double norm = 0;
    for (size_t j = 0; j < d; ++j) norm += x[q][j] * x[q][j];
    by_products[q] = gamma * (norm + largest_) * static_cast<double>(d + 8) * 0x1p-53 <= 1e-11;
  }
  GaussianMeanRows in{.rows = &rows, .norms = norms_.data(), .weights = weights, .gamma = gamma, .means = means};
  for (int q = 0, next; q < count; q = next) {  // those alike together
    for (next = q + 1; next < count && by_products[next] == by_products[q];) ++next;
    in.by_products = by_products[q];
    in.means = means + static_cast<size_t>(q) * d;
    form(in, x + q, next - q);
  }
}

}  // namespace vedette::outlier
