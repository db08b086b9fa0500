// Four doubles side by side: AVX2 where the project is compiled for it, plain loops elsewhere. Both give the same bits
// (fma is a true fused multiply-add on either side).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VEDETTE_F64X4_AVX2 1
#endif

namespace vedette::outlier {

#if VEDETTE_F64X4_AVX2
struct F64x4 {
  using Value = double;
  static constexpr int kLanes = 4;
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
inline F64x4 operator/(F64x4 a, F64x4 b) { return {_mm256_div_pd(a.v, b.v)}; }
inline F64x4 Floor(F64x4 a) { return {_mm256_floor_pd(a.v)}; }
inline F64x4 Sqrt(F64x4 a) { return {_mm256_sqrt_pd(a.v)}; }
/// 1 / sqrt(a), off by at most 3.5%, for normal a > 0: half the exponent, by an integer (the constant is Lomont's and
/// Robertson's).
inline F64x4 RootGuess(F64x4 a) {
  return {_mm256_castsi256_pd(
      _mm256_sub_epi64(_mm256_set1_epi64x(0x5fe6eb50c7b537a9), _mm256_srli_epi64(_mm256_castpd_si256(a.v), 1)))};
}
/// a times 2^k, where `shifted` is k + 1.5 * 2^52 for a whole k; the result must be a normal number.
inline F64x4 TimesPowerOfTwo(F64x4 a, F64x4 shifted) {
  return {_mm256_castsi256_pd(
      _mm256_add_epi64(_mm256_castpd_si256(a.v), _mm256_slli_epi64(_mm256_castpd_si256(shifted.v), 52)))};
}
/// The sum of the lanes: each with that half the width away, and so on.
inline double Sum(F64x4 a) {
  const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
}
/// The least lane; none is NaN.
inline double Least(F64x4 a) {
  const __m128d half = _mm_min_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
  return _mm_cvtsd_f64(_mm_min_sd(half, _mm_unpackhi_pd(half, half)));
}
/// a where x <= y, else b (also where x or y is NaN).
inline F64x4 WhereNotAbove(F64x4 x, F64x4 y, F64x4 a, F64x4 b) {
  return {_mm256_blendv_pd(b.v, a.v, _mm256_cmp_pd(x.v, y.v, _CMP_LE_OQ))};
}
#else
struct F64x4 {
  using Value = double;
  static constexpr int kLanes = 4;
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
inline F64x4 operator/(F64x4 a, F64x4 b) {
  return {{a.v[0] / b.v[0], a.v[1] / b.v[1], a.v[2] / b.v[2], a.v[3] / b.v[3]}};
}
inline F64x4 Floor(F64x4 a) {
  for (double& x : a.v) x = std::floor(x);
  return a;
}
inline F64x4 Sqrt(F64x4 a) {
  for (double& x : a.v) x = std::sqrt(x);
  return a;
}
inline F64x4 RootGuess(F64x4 a) {
  for (double& x : a.v) x = std::bit_cast<double>(0x5fe6eb50c7b537a9U - (std::bit_cast<uint64_t>(x) >> 1));
  return a;
}
inline F64x4 TimesPowerOfTwo(F64x4 a, F64x4 shifted) {
  for (int i = 0; i < 4; ++i) {
    a.v[i] = std::bit_cast<double>(std::bit_cast<uint64_t>(a.v[i]) + (std::bit_cast<uint64_t>(shifted.v[i]) << 52));
  }
  return a;
}
inline double Sum(F64x4 a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
inline double Least(F64x4 a) { return std::fmin(std::fmin(a.v[0], a.v[2]), std::fmin(a.v[1], a.v[3])); }
inline F64x4 WhereNotAbove(F64x4 x, F64x4 y, F64x4 a, F64x4 b) {
  for (int i = 0; i < 4; ++i) b.v[i] = x.v[i] <= y.v[i] ? a.v[i] : b.v[i];
  return b;
}
#endif

/// Eight floats side by side, likewise.
#if VEDETTE_F64X4_AVX2
struct F32x8 {
  using Value = float;
  static constexpr int kLanes = 8;
  __m256 v;
  static F32x8 Zero() { return {_mm256_setzero_ps()}; }
  static F32x8 Set(float x) { return {_mm256_set1_ps(x)}; }
  static F32x8 LoadAny(const float* p) { return {_mm256_loadu_ps(p)}; }
  void Store(float* p) const { _mm256_storeu_ps(p, v); }
  /// Bit i is set where lane i <= other's lane i.
  unsigned NotAbove(F32x8 other) const {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(v, other.v, _CMP_LE_OQ)));
  }
};
inline F32x8 operator+(F32x8 a, F32x8 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F32x8 operator-(F32x8 a, F32x8 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F32x8 operator*(F32x8 a, F32x8 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F32x8 Fma(F32x8 a, F32x8 b, F32x8 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline F32x8 Min(F32x8 a, F32x8 b) { return {_mm256_min_ps(a.v, b.v)}; }
inline F32x8 Max(F32x8 a, F32x8 b) { return {_mm256_max_ps(a.v, b.v)}; }
inline F32x8 Abs(F32x8 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.v)}; }
inline F32x8 Sqrt(F32x8 a) { return {_mm256_sqrt_ps(a.v)}; }
/// a times 2^k, where `shifted` is k + 1.5 * 2^23 for a whole k; the result must be a normal number.
inline F32x8 TimesPowerOfTwo(F32x8 a, F32x8 shifted) {
  return {_mm256_castsi256_ps(
      _mm256_add_epi32(_mm256_castps_si256(a.v), _mm256_slli_epi32(_mm256_castps_si256(shifted.v), 23)))};
}
inline float Sum(F32x8 a) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline F32x8 WhereNotAbove(F32x8 x, F32x8 y, F32x8 a, F32x8 b) {
  return {_mm256_blendv_ps(b.v, a.v, _mm256_cmp_ps(x.v, y.v, _CMP_LE_OQ))};
}
#else
struct F32x8 {
  using Value = float;
  static constexpr int kLanes = 8;
  float v[8];
  static F32x8 Zero() { return {}; }
  static F32x8 Set(float x) { return {{x, x, x, x, x, x, x, x}}; }
  static F32x8 LoadAny(const float* p) { return {{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]}}; }
  void Store(float* p) const {
    for (int i = 0; i < 8; ++i) p[i] = v[i];
  }
  unsigned NotAbove(F32x8 other) const {
    unsigned mask = 0;
    for (int i = 0; i < 8; ++i) mask |= v[i] <= other.v[i] ? 1U << i : 0U;
    return mask;
  }
};
template <typename F>
F32x8 EachLane(F32x8 a, F32x8 b, const F& f) {
  for (int i = 0; i < 8; ++i) a.v[i] = f(a.v[i], b.v[i]);
  return a;
}
inline F32x8 operator+(F32x8 a, F32x8 b) {
  return EachLane(a, b, [](float x, float y) { return x + y; });
}
inline F32x8 operator-(F32x8 a, F32x8 b) {
  return EachLane(a, b, [](float x, float y) { return x - y; });
}
inline F32x8 operator*(F32x8 a, F32x8 b) {
  return EachLane(a, b, [](float x, float y) { return x * y; });
}
inline F32x8 Fma(F32x8 a, F32x8 b, F32x8 c) {
  for (int i = 0; i < 8; ++i) c.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return c;
}
inline F32x8 Min(F32x8 a, F32x8 b) {
  return EachLane(a, b, [](float x, float y) { return x < y ? x : y; });
}
inline F32x8 Max(F32x8 a, F32x8 b) {
  return EachLane(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline F32x8 Abs(F32x8 a) {
  return EachLane(a, a, [](float x, float) { return std::fabs(x); });
}
inline F32x8 Sqrt(F32x8 a) {
  return EachLane(a, a, [](float x, float) { return std::sqrt(x); });
}
inline F32x8 TimesPowerOfTwo(F32x8 a, F32x8 shifted) {
  for (int i = 0; i < 8; ++i) {
    a.v[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(a.v[i]) + (std::bit_cast<uint32_t>(shifted.v[i]) << 23));
  }
  return a;
}
inline float Sum(F32x8 a) {
  for (int half = 4; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  }
  return a.v[0];
}
inline F32x8 WhereNotAbove(F32x8 x, F32x8 y, F32x8 a, F32x8 b) {
  for (int i = 0; i < 8; ++i) b.v[i] = x.v[i] <= y.v[i] ? a.v[i] : b.v[i];
  return b;
}
#endif

}  // namespace vedette::outlier
