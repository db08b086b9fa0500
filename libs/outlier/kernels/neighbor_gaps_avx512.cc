// The inner loop of neighbor_gaps.cc for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc).
#include <cmath>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include "outlier/kernels/simd512.h"
// After it.
#include "outlier/kernels/neighbor_gaps_impl.h"

namespace vedette::outlier {

void GapsOfColumnsAvx512(const GapForm& form, const GapRows& rows, size_t columns) {
  size_t at = 0;
  for (; at + 24 <= columns; at += 24) GapsOf<F64x8, 3>(form, rows, at);
  for (; at + 16 <= columns; at += 16) GapsOf<F64x8, 2>(form, rows, at);
  if (at < columns) GapsOf<F64x8, 1>(form, rows, at);
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
#include "outlier/kernels/neighbor_gaps_impl.h"
namespace vedette::outlier {
void GapsOfColumnsAvx512(const GapForm& form, const GapRows& rows, size_t columns) {
  GapsOfColumns(form, rows, columns);
}
}  // namespace vedette::outlier
#endif
