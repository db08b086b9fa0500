// The k-th smallest of many floats, from above: what a search may ask of further candidates before it has measured any.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace vedette::outlier {

/// The k-th smallest of 8 kVectors values, k in [1, 8 kVectors].
template <int kVectors>
inline float KthSmallest(const float* values, int64_t k) {
  typedef float Floats __attribute__((vector_size(32), may_alias));
  typedef int32_t Counts __attribute__((vector_size(32)));
  const auto* v = reinterpret_cast<const Floats*>(values);
  Counts not_above[kVectors] = {};  // minus the number of values that are not above each
  for (int i = 0; i < 8 * kVectors; ++i) {
    const Floats other = Floats{} + values[i];
    for (int part = 0; part < kVectors; ++part) not_above[part] += other <= v[part];
  }
  const Floats infinity = Floats{} + std::numeric_limits<float>::infinity();
  const Counts enough = Counts{} - static_cast<int32_t>(k);
  Floats best = infinity;
  for (int part = 0; part < kVectors; ++part) {
    const Floats own = not_above[part] <= enough ? v[part] : infinity;
    best = own < best ? own : best;
  }
  float least = best[0];
  for (int lane = 1; lane < 8; ++lane) least = best[lane] < least ? best[lane] : least;
  return least;
}

/// The least of the values of each of kClasses classes; count is a multiple of 32 and at least kClasses.
template <int64_t kClasses>
inline void ClassMinima(const float* values, int64_t count, float* least) {
  std::copy_n(values, kClasses, least);
  for (int64_t i = kClasses; i < count; i += 32) {
    float* const own = least + i % kClasses;
    for (int64_t c = 0; c < 32; ++c) own[c] = values[i + c] < own[c] ? values[i + c] : own[c];
  }
}

inline constexpr int64_t kMostSeeded = 100;  ///< neighbours for which such a bound is worth its while
inline constexpr int64_t kManyClasses = 128;

/// An upper bound of the k-th smallest of `count` values (a multiple of 32, at least 8 k), k <= kMostSeeded: the k-th
/// smallest of the least values of 16, 64 or 128 classes of them.
inline float UpperBoundOfKth(const float* values, int64_t count, int64_t k) {
  alignas(32) float least[kManyClasses];
  if (k > 24) {
    ClassMinima<kManyClasses>(values, count, least);
    std::nth_element(least, least + (k - 1), least + kManyClasses);
    return least[k - 1];
  }
  if (k > 8) {
    ClassMinima<64>(values, count, least);
    return KthSmallest<8>(least, k);
  }
  ClassMinima<32>(values, count, least);
  for (int64_t c = 0; c < 16; ++c) least[c] = least[c + 16] < least[c] ? least[c + 16] : least[c];
  return KthSmallest<2>(least, k);
}

}  // namespace vedette::outlier
