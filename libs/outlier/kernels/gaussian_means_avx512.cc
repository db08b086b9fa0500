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

const GaussianMeanForms& GaussianMeans::Avx512() {
  static constexpr GaussianMeanForms kForms = {MeansOfRows<F32x16, 4, 4, 4, 8, 4>, MeansOfRows<F64x8, 2, 1, 4, 8, 1>};
  return kForms;
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
const GaussianMeanForms& GaussianMeans::Avx512() { return Portable(); }
}  // namespace vedette::outlier
#endif
