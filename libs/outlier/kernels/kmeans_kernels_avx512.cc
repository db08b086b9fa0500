// The loops of kmeans_kernels.h for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc).
#include "outlier/kernels/kmeans_kernels.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include <immintrin.h>

#include <type_traits>

namespace vedette::outlier {

void NearestCentersAvx512(const CenterTile& t, CenterFound& found) {
  constexpr int kCenters = CenterTile::kCenters;
  __m512 first = _mm512_set1_ps(__builtin_inff()), second = first;
  __m512 doubt = _mm512_setzero_ps(), center = doubt;
  for (size_t g = 0; g < t.groups; ++g) {
    const float* x = t.rows;
    const float* c = t.centers + g * t.features * kCenters;
    __m512 value[kCenters];
#pragma GCC unroll 8
    for (int i = 0; i < kCenters; ++i) value[i] = _mm512_set1_ps(t.norms[g * kCenters + static_cast<size_t>(i)]);
    for (size_t j = 0; j < t.features; ++j, x += CenterTile::kRows, c += kCenters) {
      const __m512 row = _mm512_loadu_ps(x);
#pragma GCC unroll 8
      for (int i = 0; i < kCenters; ++i) value[i] = _mm512_fmadd_ps(row, _mm512_set1_ps(c[i]), value[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kCenters; ++i) {
      const size_t at = g * kCenters + static_cast<size_t>(i);
      const __mmask16 nearer = _mm512_cmp_ps_mask(value[i], first, _CMP_LT_OQ);
      center = _mm512_mask_mov_ps(center, nearer, _mm512_set1_ps(static_cast<float>(at)));
      doubt = _mm512_mask_mov_ps(doubt, nearer, _mm512_set1_ps(t.doubt[at]));
      second = _mm512_min_ps(second, _mm512_max_ps(first, value[i]));
      first = _mm512_min_ps(first, value[i]);
    }
  }
  _mm512_store_ps(found.first, first);
  _mm512_store_ps(found.second, second);
  _mm512_store_ps(found.doubt, doubt);
  _mm512_store_ps(found.center, center);
}

void TryCandidatesAvx512(CandidateBlocks& t) {
  constexpr int kCandidates = CandidateBlocks::kCandidates;
  __m512d total[kCandidates];
  for (int q = 0; q < kCandidates; ++q) total[q] = _mm512_loadu_pd(t.sums[q]);
  // Two blocks side by side, so that eight sums are under way.
  const auto add = [&](size_t b, auto together) {
    constexpr int kTogether = decltype(together)::value;
    const double* values = t.values + b * t.features * 8;
    __m512d sum[kTogether][kCandidates];
    for (int s = 0; s < kTogether; ++s) {
      for (int q = 0; q < kCandidates; ++q) sum[s][q] = _mm512_setzero_pd();
    }
    for (size_t j = 0; j < t.features; ++j, values += 8) {
#pragma GCC unroll 2
      for (int s = 0; s < kTogether; ++s) {
        const __m512d row = _mm512_loadu_pd(values + static_cast<size_t>(s) * t.features * 8);
#pragma GCC unroll 4
        for (int q = 0; q < kCandidates; ++q) {
          const __m512d gap = _mm512_sub_pd(_mm512_set1_pd(t.candidates[q][j]), row);
          sum[s][q] = _mm512_fmadd_pd(gap, gap, sum[s][q]);
        }
      }
    }
#pragma GCC unroll 2
    for (int s = 0; s < kTogether; ++s) {
      const size_t at = 8 * (b + static_cast<size_t>(s));
      const __m512d nearest = _mm512_loadu_pd(t.nearest + at);
#pragma GCC unroll 4
      for (int q = 0; q < kCandidates; ++q) {
        const __m512d least = _mm512_min_pd(sum[s][q], nearest);
        _mm512_storeu_pd(t.trial[q] + at, least);
        total[q] = _mm512_add_pd(total[q], least);
      }
    }
  };
  size_t b = 0;
  for (; b + 2 <= t.blocks; b += 2) add(b, std::integral_constant<int, 2>());
  for (; b < t.blocks; ++b) add(b, std::integral_constant<int, 1>());
  for (int q = 0; q < kCandidates; ++q) _mm512_storeu_pd(t.sums[q], total[q]);
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
void NearestCentersAvx512(const CenterTile& tile, CenterFound& found) { NearestCentersPortable(tile, found); }
void TryCandidatesAvx512(CandidateBlocks& blocks) { TryCandidatesPortable(blocks); }
}  // namespace vedette::outlier
#endif
