// The sums of coalition_search.h for processors with AVX-512, chosen at run time. A unit of its own with target
// attributes, so that the rest of the project keeps its one instruction set; no Eigen type passes through here.
#include "outlier/kernels/coalition_search.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include <immintrin.h>

namespace vedette::outlier {

void CoalitionSumsAvx512(const CoalitionSums& s) {
  constexpr int64_t kPanel = CoalitionSums::kPanel, kChoices = CoalitionSums::kChoices;
  for (int64_t m = 0; m < s.count; ++m) {
    uint64_t mask = s.masks[m];
    const float* entry = s.table + static_cast<int64_t>(mask % kChoices) * kPanel;
    __m512 a = _mm512_load_ps(entry), b = _mm512_load_ps(entry + 16);
    __m512 c = _mm512_load_ps(entry + 32), d = _mm512_load_ps(entry + 48);
    const float* group = s.table;
    for (int64_t g = 1; g < s.groups; ++g) {
      mask /= kChoices;
      group += kChoices * kPanel;
      entry = group + static_cast<int64_t>(mask % kChoices) * kPanel;
      a = _mm512_add_ps(a, _mm512_load_ps(entry));
      b = _mm512_add_ps(b, _mm512_load_ps(entry + 16));
      c = _mm512_add_ps(c, _mm512_load_ps(entry + 32));
      d = _mm512_add_ps(d, _mm512_load_ps(entry + 48));
    }
    float* out = s.sums + m * s.sums_stride;
    _mm512_store_ps(out, a);
    _mm512_store_ps(out + 16, b);
    _mm512_store_ps(out + 32, c);
    _mm512_store_ps(out + 48, d);
    const __m512 least = _mm512_min_ps(_mm512_min_ps(a, b), _mm512_min_ps(c, d));
    const __m256 halves = _mm256_min_ps(_mm512_castps512_ps256(least), _mm512_extractf32x8_ps(least, 1));
    _mm256_store_ps(s.least + m * s.least_stride, halves);
  }
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
void CoalitionSumsAvx512(const CoalitionSums& sums) { CoalitionSumsPortable(sums); }
}  // namespace vedette::outlier
#endif
