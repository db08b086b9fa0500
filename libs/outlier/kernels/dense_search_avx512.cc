// The tile kernel of dense_search.h for processors with AVX-512, chosen at run time (see packed_forest_avx512.cc).
#include "outlier/kernels/dense_search.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics headers
#include <immintrin.h>

namespace vedette::outlier {

bool DenseTileAvx512(const DenseTile& t) {
  constexpr int kGroup = 12;  // 12 x 32 sums fill twenty-four of the thirty-two registers
  const float* panel = t.panel;
  const float* x = t.queries;
  __m512 a[kGroup], b[kGroup];
#pragma GCC unroll 12
  for (int q = 0; q < kGroup; ++q) {
    a[q] = _mm512_load_ps(t.norms);
    b[q] = _mm512_load_ps(t.norms + 16);
  }
  for (int64_t j = 0; j < t.features; ++j, panel += kPanelRows, x += kGroup) {
    const __m512 ya = _mm512_load_ps(panel), yb = _mm512_load_ps(panel + 16);
#pragma GCC unroll 12
    for (int q = 0; q < kGroup; ++q) {
      const __m512 xq = _mm512_set1_ps(x[q]);
      a[q] = _mm512_fmadd_ps(xq, ya, a[q]);
      b[q] = _mm512_fmadd_ps(xq, yb, b[q]);
    }
  }
  if (t.kept != nullptr) {
#pragma GCC unroll 12
    for (int q = 0; q < kGroup; ++q) {
      _mm512_store_ps(t.kept + q * t.kept_stride, a[q]);
      _mm512_store_ps(t.kept + q * t.kept_stride + 16, b[q]);
    }
    return false;
  }
  uint32_t any = 0;
#pragma GCC unroll 12
  for (int q = 0; q < kGroup; ++q) {
    const __m512 bound = _mm512_set1_ps(t.bounds[q]);
    const uint32_t low = _cvtmask16_u32(_mm512_cmp_ps_mask(a[q], bound, _CMP_LE_OQ));
    const uint32_t high = _cvtmask16_u32(_mm512_cmp_ps_mask(b[q], bound, _CMP_LE_OQ));
    t.masks[q] = low | high << 16;
    any |= t.masks[q];
  }
  return any != 0;
}

namespace {

template <int kPanels>
void RowPanels(const DenseRow& t, int64_t p) {
  const int64_t step = kPanelRows * t.features;
  const float* panel = t.panels + p * step;
  __m512 sum[kPanels * 2];
#pragma GCC unroll 8
  for (int i = 0; i < kPanels * 2; ++i) sum[i] = _mm512_load_ps(t.norms + p * kPanelRows + 16 * i);
  for (int64_t j = 0; j < t.features; ++j, panel += kPanelRows) {
    const __m512 x = _mm512_set1_ps(t.query[j]);
#pragma GCC unroll 8
    for (int i = 0; i < kPanels * 2; ++i) {
      sum[i] = _mm512_fmadd_ps(x, _mm512_load_ps(panel + i / 2 * step + i % 2 * 16), sum[i]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kPanels * 2; ++i) _mm512_store_ps(t.out + p * kPanelRows + 16 * i, sum[i]);
}

}  // namespace

void DenseRowAvx512(const DenseRow& t) {
  int64_t p = 0;
  for (; p + 4 <= t.panel_count; p += 4) RowPanels<4>(t, p);
  for (; p < t.panel_count; ++p) RowPanels<1>(t, p);
}

}  // namespace vedette::outlier
#pragma GCC pop_options
#else
namespace vedette::outlier {
bool DenseTileAvx512(const DenseTile& tile) { return DenseTilePortable(tile); }
void DenseRowAvx512(const DenseRow& row) { DenseRowPortable(row); }
}  // namespace vedette::outlier
#endif
