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

void ExactCentersAvx512(const ExactTile& t) {
  constexpr int kLanes = 16;
  constexpr size_t kTogether = 4;  // centers
  if (t.lanes != kLanes) return ExactCentersPortable(t);
  __m512d least[2] = {_mm512_set1_pd(__builtin_inf()), _mm512_set1_pd(__builtin_inf())};
  __m512d best[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
  for (size_t first = 0; first < t.count; first += kTogether) {
    __m512d sum[kTogether][2];
    for (auto& s : sum) s[0] = s[1] = _mm512_setzero_pd();
    const double* center = t.centers + first / 8 * t.features * 8 + first % 8;
    const double* x = t.rows;
    for (size_t j = 0; j < t.features; ++j, center += 8, x += kLanes) {
      const __m512d low = _mm512_loadu_pd(x), high = _mm512_loadu_pd(x + 8);
#pragma GCC unroll 4
      for (size_t c = 0; c < kTogether; ++c) {
        const __m512d value = _mm512_set1_pd(center[c]);
        const __m512d a = _mm512_sub_pd(low, value), b = _mm512_sub_pd(high, value);
        sum[c][0] = _mm512_fmadd_pd(a, a, sum[c][0]);
        sum[c][1] = _mm512_fmadd_pd(b, b, sum[c][1]);
      }
    }
    for (size_t c = 0; c < kTogether && first + c < t.count; ++c) {
      for (int half = 0; half < 2; ++half) {
        const __mmask8 nearer = _mm512_cmp_pd_mask(least[half], sum[c][half], _CMP_NLE_UQ);
        best[half] = _mm512_mask_mov_pd(best[half], nearer, _mm512_set1_pd(static_cast<double>(first + c)));
        least[half] = _mm512_min_pd(sum[c][half], least[half]);
      }
    }
  }
  for (int half = 0; half < 2; ++half) {
    _mm512_storeu_pd(t.squared + 8 * half, least[half]);
    if (t.nearest != nullptr) _mm512_storeu_pd(t.nearest + 8 * half, best[half]);
  }
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
void NearestCentersAvx512(const CenterTile& tile, CenterFound& found) { NearestCentersPortable(tile, found); }
void TryCandidatesAvx512(CandidateBlocks& blocks) { TryCandidatesPortable(blocks); }
void ExactCentersAvx512(const ExactTile& tile) { ExactCentersPortable(tile); }
}  // namespace vedette::outlier
#endif
