// The loops of histogram_cuts.h for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc).
#include "outlier/kernels/histogram_cuts.h"
#include "outlier/kernels/processor.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma,popcnt")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include <immintrin.h>

namespace vedette::outlier {
namespace {

/// offset / divisor wherever the whole part of that hangs on its last bits, else offset * inverse, which costs a
/// quarter: the two differ by a few units in the last place.
inline __m512d BinOf(__m512d offset, double divisor, double inverse) {
  const __m512d at = _mm512_mul_pd(offset, _mm512_set1_pd(inverse));
  const __m512d whole = _mm512_roundscale_pd(at, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512d gap = _mm512_abs_pd(_mm512_sub_pd(at, whole));
  if (_mm512_cmp_pd_mask(gap, _mm512_set1_pd(1e-9), _CMP_NGE_UQ) == 0) return at;  // NaN: divide
  return _mm512_div_pd(offset, _mm512_set1_pd(divisor));
}

template <bool kParts>
inline void AddWorthsOf(const HistogramCuts& cuts, const double* tile, double* sums, [[maybe_unused]] double* with) {
  constexpr int kHalves = HistogramCuts::kRows / 8;
  __m512d total[kHalves];
  for (__m512d& t : total) t = _mm512_setzero_pd();
  const auto bins = static_cast<double>(cuts.bins);
  const __m512d zero = _mm512_setzero_pd(), last = _mm512_set1_pd(bins - 1), beyond = _mm512_set1_pd(bins);
  const auto entries = static_cast<unsigned>(cuts.bins + 1);
  const auto lower = static_cast<__mmask8>((1U << (entries < 8 ? entries : 8)) - 1);
  const auto upper = static_cast<__mmask8>((1U << (entries > 8 ? entries - 8 : 0)) - 1);
  for (int64_t c = 0; c < cuts.cuts; ++c) {
    __m512d sum[kHalves];
    for (__m512d& s : sum) s = zero;
    for (int32_t u = cuts.begin[c]; u < cuts.begin[c + 1]; ++u) {
      const double* const x = tile + static_cast<ptrdiff_t>(cuts.column[u]) * HistogramCuts::kRows;
      const __m512d weight = _mm512_set1_pd(cuts.weight[u]);
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) sum[h] = _mm512_fmadd_pd(_mm512_loadu_pd(x + 8 * h), weight, sum[h]);
    }
    const double* const worth = cuts.worth + c * (cuts.bins + 1);
    const __m512d near = _mm512_maskz_loadu_pd(lower, worth), far = _mm512_maskz_loadu_pd(upper, worth + 8);
    const double width = cuts.width[c], divisor = cuts.divisor[c], inverse = 1 / divisor;
    const __m512d low = _mm512_set1_pd(cuts.low[c]), least = _mm512_set1_pd(-1e-9 * width),
                  most = _mm512_set1_pd(width * (bins + 1e-9));
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) {
      const __m512d offset = _mm512_sub_pd(sum[h], low);
      __m512d index = _mm512_max_pd(_mm512_min_pd(BinOf(offset, divisor, inverse), last), zero);
      const __mmask8 within =
          _mm512_cmp_pd_mask(least, offset, _CMP_LE_OQ) & _mm512_cmp_pd_mask(offset, most, _CMP_LE_OQ);
      index = _mm512_mask_mov_pd(beyond, within, index);
      const __m512i at = _mm512_cvtepi32_epi64(_mm512_cvttpd_epi32(index));
      sum[h] = _mm512_permutex2var_pd(near, at, far);  // what it is worth
      total[h] = _mm512_add_pd(total[h], sum[h]);
    }
    for (int32_t u = cuts.begin[c]; kParts && u < cuts.begin[c + 1]; ++u) {
      double* const own = with + static_cast<ptrdiff_t>(cuts.column[u]) * HistogramCuts::kRows;
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
        _mm512_storeu_pd(own + 8 * h, _mm512_add_pd(_mm512_loadu_pd(own + 8 * h), sum[h]));
      }
    }
  }
  for (int h = 0; h < kHalves; ++h) _mm512_storeu_pd(sums + 8 * h, total[h]);
}

void AddWorths(const HistogramCuts& cuts, const double* tile, double* sums) {
  AddWorthsOf<false>(cuts, tile, sums, nullptr);
}

void AddWorthsAndParts(const HistogramCuts& cuts, const double* tile, double* sums, double* with) {
  AddWorthsOf<true>(cuts, tile, sums, with);
}

void CountBins(const double* values, size_t n, double low, double divisor, int64_t bins, int64_t* counts) {
  const double inverse = 1 / divisor;
  const __m512d lower = _mm512_set1_pd(low), last = _mm512_set1_pd(static_cast<double>(bins - 1));
  int64_t found[HistogramCuts::kMostBins] = {};
  for (size_t i = 0; i < n; i += 16) {
    const auto mask = static_cast<__mmask16>(n - i >= 16 ? 0xffff : (1U << (n - i)) - 1);
    const auto bin = [&](const double* from, unsigned rows) {
      const __m512d offset = _mm512_sub_pd(_mm512_maskz_loadu_pd(static_cast<__mmask8>(rows), from), lower);
      return _mm512_cvttpd_epi32(_mm512_min_pd(BinOf(offset, divisor, inverse), last));
    };
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(bin(values + i, mask & 0xffU)),
                                            bin(values + i + 8, static_cast<unsigned>(mask) >> 8), 1);
    for (int b = 0; b < bins; ++b) {  // no counter waits for the one before it, however many values share a bin
      found[b] += __builtin_popcount(_mm512_mask_cmpeq_epi32_mask(mask, both, _mm512_set1_epi32(b)));
    }
  }
  for (int b = 0; b < bins; ++b) counts[b] += found[b];
}

}  // namespace

HistogramKernel HistogramKernelAvx512() {
  return HasAvx512() ? HistogramKernel{AddWorths, AddWorthsAndParts, CountBins} : HistogramKernel{};
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
HistogramKernel HistogramKernelAvx512() { return {}; }
}  // namespace vedette::outlier
#endif
