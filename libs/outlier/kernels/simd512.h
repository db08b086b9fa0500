// Eight doubles side by side, as simd.h has four. For the units that are compiled for AVX-512 and chosen at run time
// (see packed_forest_avx512.cc): include it behind their `#pragma GCC target`, and after what else they include.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace vedette::outlier {

struct F64x8 {
  using Value = double;
  static constexpr int kLanes = 8;
  __m512d v;
  static F64x8 Zero() { return {_mm512_setzero_pd()}; }
  static F64x8 Set(double x) { return {_mm512_set1_pd(x)}; }
  static F64x8 LoadAny(const double* p) { return {_mm512_loadu_pd(p)}; }
  void Store(double* p) const { _mm512_storeu_pd(p, v); }
  /// Bit i is set where lane i <= other's lane i.
  unsigned NotAbove(F64x8 other) const { return _mm512_cmp_pd_mask(v, other.v, _CMP_LE_OQ); }
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
/// In simd.h's order.
inline double Sum(F64x8 a) {
  const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
/// The least lane; none is NaN.
inline double Least(F64x8 a) {
  const __m256d four = _mm256_min_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d two = _mm_min_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_min_sd(two, _mm_unpackhi_pd(two, two)));
}
/// table[index] of eight values, for whole indices in [0, 8).
inline F64x8 LookUp(const double* table, F64x8 index) {
  return {_mm512_permutexvar_pd(_mm512_cvtpd_epi64(index.v), _mm512_loadu_pd(table))};
}

/// Sixteen floats side by side, likewise.
struct F32x16 {
  using Value = float;
  static constexpr int kLanes = 16;
  __m512 v;
  static F32x16 Zero() { return {_mm512_setzero_ps()}; }
  static F32x16 Set(float x) { return {_mm512_set1_ps(x)}; }
  static F32x16 LoadAny(const float* p) { return {_mm512_loadu_ps(p)}; }
  void Store(float* p) const { _mm512_storeu_ps(p, v); }
};
inline F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32x16 Fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F32x16 Max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F32x16 TimesPowerOfTwo(F32x16 a, F32x16 shifted) {
  return {_mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_castps_si512(a.v), _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23)))};
}
inline float Sum(F32x16 a) {
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.v), 1));
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

}  // namespace vedette::outlier
