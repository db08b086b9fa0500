// The loops of gaussian_means.cc for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc).
#include <absl/container/fixed_array.h>

#include <cstdint>

#include "outlier/kernels/gaussian_means.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include "outlier/kernels/simd512.h"
// After it.
#include "outlier/kernels/gaussian_means_impl.h"

namespace vedette::outlier {

void GaussianMeans::Avx512(const GaussianMeanRows& in, const double* const* x, int count) {
  absl::FixedArray<double, 1024> work(in.rows->features() * kTogether * 9);
  if (count == kTogether) return MeansOf<F64x8, kTogether, 2, 4>(in, x, work.data());
  GaussianMeanRows one = in;
  for (int q = 0; q < count; ++q, one.means += in.rows->features()) MeansOf<F64x8, 1, 8, 8>(one, x + q, work.data());
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
void GaussianMeans::Avx512(const GaussianMeanRows& in, const double* const* x, int count) { Portable(in, x, count); }
}  // namespace vedette::outlier
#endif
