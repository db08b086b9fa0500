// The loops of ball_cover.h for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc).
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

#include "outlier/kernels/ball_cover.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx2,fma,bmi,lzcnt")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include "outlier/kernels/simd512.h"
// After it.
#include "outlier/kernels/ball_cover_impl.h"

namespace vedette::outlier {

const BallKernel& BallsAvx512() {
  static constexpr BallKernel kKernel{ScoreBalls<F64x8, 1>, ExplainBalls<F64x8, 1>};
  return kKernel;
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
const BallKernel& BallsAvx512() {
  static constexpr BallKernel kKernel;
  return kKernel;
}
}  // namespace vedette::outlier
#endif
