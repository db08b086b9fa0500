// Four doubles side by side: AVX2 where the project is compiled for it, plain loops elsewhere. Both give the same bits
// (fma is a true fused multiply-add on either side).
#pragma once

#include <cmath>

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VEDETTE_F64X4_AVX2 1
#endif

namespace vedette::outlier {

#if VEDETTE_F64X4_AVX2
struct F64x4 {
  __m256d v;
  static F64x4 Zero() { return {_mm256_setzero_pd()}; }
  static F64x4 Set(double x) { return {_mm256_set1_pd(x)}; }
  static F64x4 Load(const double* p) { return {_mm256_load_pd(p)}; }  // 32-byte aligned
  static F64x4 LoadAny(const double* p) { return {_mm256_loadu_pd(p)}; }
  void Store(double* p) const { _mm256_storeu_pd(p, v); }
  /// Bit i is set where lane i <= other's lane i.
  unsigned NotAbove(F64x4 other) const {
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(v, other.v, _CMP_LE_OQ)));
  }
};
inline F64x4 operator+(F64x4 a, F64x4 b) { return {_mm256_add_pd(a.v, b.v)}; }
inline F64x4 operator-(F64x4 a, F64x4 b) { return {_mm256_sub_pd(a.v, b.v)}; }
inline F64x4 operator*(F64x4 a, F64x4 b) { return {_mm256_mul_pd(a.v, b.v)}; }
inline F64x4 Fma(F64x4 a, F64x4 b, F64x4 c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
inline F64x4 Min(F64x4 a, F64x4 b) { return {_mm256_min_pd(a.v, b.v)}; }
inline F64x4 Max(F64x4 a, F64x4 b) { return {_mm256_max_pd(a.v, b.v)}; }
inline F64x4 Abs(F64x4 a) { return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v)}; }
#else
struct F64x4 {
  double v[4];
  static F64x4 Zero() { return {}; }
  static F64x4 Set(double x) { return {{x, x, x, x}}; }
  static F64x4 Load(const double* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static F64x4 LoadAny(const double* p) { return Load(p); }
  void Store(double* p) const {
    for (int i = 0; i < 4; ++i) p[i] = v[i];
  }
  unsigned NotAbove(F64x4 other) const {
    unsigned mask = 0;
    for (int i = 0; i < 4; ++i) mask |= v[i] <= other.v[i] ? 1U << i : 0U;
    return mask;
  }
};
inline F64x4 operator+(F64x4 a, F64x4 b) {
  return {{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3]}};
}
inline F64x4 operator-(F64x4 a, F64x4 b) {
  return {{a.v[0] - b.v[0], a.v[1] - b.v[1], a.v[2] - b.v[2], a.v[3] - b.v[3]}};
}
inline F64x4 operator*(F64x4 a, F64x4 b) {
  return {{a.v[0] * b.v[0], a.v[1] * b.v[1], a.v[2] * b.v[2], a.v[3] * b.v[3]}};
}
inline F64x4 Fma(F64x4 a, F64x4 b, F64x4 c) {
  for (int i = 0; i < 4; ++i) c.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return c;
}
inline F64x4 Min(F64x4 a, F64x4 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
inline F64x4 Max(F64x4 a, F64x4 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
inline F64x4 Abs(F64x4 a) {
  for (double& x : a.v) x = std::fabs(x);
  return a;
}
#endif

}  // namespace vedette::outlier
