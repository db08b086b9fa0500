// The sums of gaussian_sums.cc for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc): a block
// of eight rows is one vector, its lanes are those of the two vectors there, and so are the bits.
#include "outlier/kernels/gaussian_sums.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same headers at -O2 -g1
#include <immintrin.h>

namespace vedette::outlier {
namespace {

inline __m512d PowerOfTwo(__m512d t) {
  const __m512d shift = _mm512_set1_pd(0x1.8p52);
  const __m512d shifted = _mm512_add_pd(t, shift), r = _mm512_sub_pd(t, _mm512_sub_pd(shifted, shift));
  __m512d p = _mm512_set1_pd(kPowerOfTwo[0]);
#pragma GCC unroll 16
  for (int i = 1; i < kPowerOfTwoTerms; ++i) p = _mm512_fmadd_pd(p, r, _mm512_set1_pd(kPowerOfTwo[i]));
  return _mm512_castsi512_pd(
      _mm512_add_epi64(_mm512_castpd_si512(p), _mm512_slli_epi64(_mm512_castpd_si512(shifted), 52)));
}

template <int kQueries>
struct Running {
  __m512d total[kQueries], nearest[kQueries];
};

template <int kQueries, int kBlocks>
inline void AddBlocks(const double* values, size_t d, const double* weights, double gamma, const double* const* x,
                      const double* shift, Running<kQueries>& running) {
  const __m512d factor = _mm512_set1_pd(gamma * 1.4426950408889634), lowest = _mm512_set1_pd(-1000);
  const size_t step = d * 8;
  __m512d squared[kBlocks][kQueries];
  for (auto& block : squared) {
    for (__m512d& s : block) s = _mm512_setzero_pd();
  }
  for (size_t j = 0; j < d; ++j, values += 8) {
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) {
      const __m512d row = _mm512_loadu_pd(values + static_cast<size_t>(b) * step);
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) {
        const __m512d gap = _mm512_sub_pd(_mm512_set1_pd(x[q][j]), row);
        squared[b][q] = _mm512_fmadd_pd(gap, gap, squared[b][q]);
      }
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 4
    for (int q = 0; q < kQueries; ++q) {
      running.nearest[q] = _mm512_min_pd(running.nearest[q], squared[b][q]);
      const __m512d from = _mm512_set1_pd(shift == nullptr ? 0.0 : shift[q]);
      const __m512d kernel =
          PowerOfTwo(_mm512_max_pd(_mm512_mul_pd(_mm512_sub_pd(from, squared[b][q]), factor), lowest));
      running.total[q] = weights == nullptr
                             ? _mm512_add_pd(running.total[q], kernel)
                             : _mm512_fmadd_pd(_mm512_loadu_pd(weights + 8 * b), kernel, running.total[q]);
    }
  }
}

template <int kQueries>
void Sums(const RowBlocks& rows, const double* weights, double gamma, const double* const* x, const double* shift,
          GaussianSum* out) {
  constexpr size_t kTogether = 8 / kQueries;
  const size_t blocks = rows.padded() / RowBlocks::kWidth, d = rows.features();
  const auto weight = [weights](size_t b) { return weights == nullptr ? nullptr : weights + RowBlocks::kWidth * b; };
  Running<kQueries> running;
  for (__m512d& t : running.total) t = _mm512_setzero_pd();
  for (__m512d& v : running.nearest) v = _mm512_set1_pd(__builtin_inf());
  size_t b = 0;
  for (; b + kTogether <= blocks; b += kTogether) {
    AddBlocks<kQueries, static_cast<int>(kTogether)>(rows.block(b), d, weight(b), gamma, x, shift, running);
  }
  for (; b < blocks; ++b) AddBlocks<kQueries, 1>(rows.block(b), d, weight(b), gamma, x, shift, running);
  for (int q = 0; q < kQueries; ++q) {
    double sum[8], least[8];
    _mm512_storeu_pd(sum, running.total[q]);
    _mm512_storeu_pd(least, running.nearest[q]);
    for (int i = 0; i < 4; ++i) {
      sum[i] += sum[i + 4];
      least[i] = least[i + 4] < least[i] ? least[i + 4] : least[i];
    }
    for (int i = 1; i < 4; ++i) least[0] = least[i] < least[0] ? least[i] : least[0];
    out[q] = {(sum[0] + sum[2]) + (sum[1] + sum[3]), least[0]};
  }
}

}  // namespace

void GaussianSumsAvx512(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                        const double* shift, int count, GaussianSum* out) {
  int q = 0;
  for (; q + 4 <= count; q += 4) Sums<4>(rows, weights, gamma, x + q, shift == nullptr ? nullptr : shift + q, out + q);
  for (; q < count; ++q) Sums<1>(rows, weights, gamma, x + q, shift == nullptr ? nullptr : shift + q, out + q);
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
void GaussianSumsAvx512(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                        const double* shift, int count, GaussianSum* out) {
  GaussianSumsPortable(rows, weights, gamma, x, shift, count, out);
}
}  // namespace vedette::outlier
#endif
