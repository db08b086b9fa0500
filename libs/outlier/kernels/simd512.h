// Eight doubles side by side, as simd.h has four. For the units that are compiled for AVX-512 and chosen at run time
// (see packed_forest_avx512.cc): include it behind their `#pragma GCC target`, and after what else they include.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace vedette::outlier {

struct F64x8 {
  static constexpr int kLanes = 8;
  __m512d v;
  static F64x8 Zero() { return {_mm512_setzero_pd()}; }
  static F64x8 Set(double x) { return {_mm512_set1_pd(x)}; }
  static F64x8 LoadAny(const double* p) { return {_mm512_loadu_pd(p)}; }
  void Store(double* p) const { _mm512_storeu_pd(p, v); }
};
inline F64x8 operator+(F64x8 a, F64x8 b) { return {_mm512_add_pd(a.v, b.v)}; }
inline F64x8 operator-(F64x8 a, F64x8 b) { return {_mm512_sub_pd(a.v, b.v)}; }
inline F64x8 operator*(F64x8 a, F64x8 b) { return {_mm512_mul_pd(a.v, b.v)}; }
inline F64x8 operator/(F64x8 a, F64x8 b) { return {_mm512_div_pd(a.v, b.v)}; }
inline F64x8 Abs(F64x8 a) { return {_mm512_abs_pd(a.v)}; }
inline F64x8 Fma(F64x8 a, F64x8 b, F64x8 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
inline F64x8 Min(F64x8 a, F64x8 b) { return {_mm512_min_pd(a.v, b.v)}; }
inline F64x8 Max(F64x8 a, F64x8 b) { return {_mm512_max_pd(a.v, b.v)}; }
/// a where x <= y, else b (also where x or y is NaN).
inline F64x8 WhereNotAbove(F64x8 x, F64x8 y, F64x8 a, F64x8 b) {
  return {_mm512_mask_blend_pd(_mm512_cmp_pd_mask(x.v, y.v, _CMP_LE_OQ), b.v, a.v)};
}
inline F64x8 TimesPowerOfTwo(F64x8 a, F64x8 shifted) {
  return {_mm512_castsi512_pd(
      _mm512_add_epi64(_mm512_castpd_si512(a.v), _mm512_slli_epi64(_mm512_castpd_si512(shifted.v), 52)))};
}
inline F64x8 RootGuess(F64x8 a) {
  return {_mm512_castsi512_pd(
      _mm512_sub_epi64(_mm512_set1_epi64(0x5fe6eb50c7b537a9), _mm512_srli_epi64(_mm512_castpd_si512(a.v), 1)))};
}
/// table[index] of eight values, for whole indices in [0, 8).
inline F64x8 LookUp(const double* table, F64x8 index) {
  return {_mm512_permutexvar_pd(_mm512_cvtpd_epi64(index.v), _mm512_loadu_pd(table))};
}

}  // namespace vedette::outlier
