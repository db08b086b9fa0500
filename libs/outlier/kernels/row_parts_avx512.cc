// The loops of row_parts.cc for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc).
#include <cstdint>

#include "outlier/kernels/row_parts.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include "outlier/kernels/simd512.h"
// After it.
#include "outlier/kernels/row_parts_impl.h"

namespace vedette::outlier {
namespace {

constexpr int kWide = 16;  // lanes: two vectors, with four sums of each under way

void QuadraticWide(const QuadraticForm& form, const double* x, int, double* work, double* parts, int64_t stride) {
  QuadraticGroup<F64x8, 2, 4>(form, x, kWide, work, parts, stride);
}

void DirectionsWide(const Directions& form, const double* z, int, double* work, double* parts, int64_t stride) {
  DirectionGroup<F64x8, 2, 4>(form, z, kWide, work, parts, stride);
}

void CentersWide(const CenterBlocks& centers, const double* x, int, double unscale, double* parts, double* expected,
                 int64_t stride) {
  CenterGroup<F64x8, 2, 4>(centers, x, kWide, unscale, parts, expected, stride);
}

}  // namespace

const RowPartsKernel& RowPartsAvx512() {
  static constexpr RowPartsKernel kKernel{QuadraticWide, DirectionsWide, CentersWide};
  return kKernel;
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
const RowPartsKernel& RowPartsAvx512() {
  static constexpr RowPartsKernel kKernel;
  return kKernel;
}
}  // namespace vedette::outlier
#endif
