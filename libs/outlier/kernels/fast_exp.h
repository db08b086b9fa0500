// exp for arguments up to 0, without branches, so that loops over it are vectorised.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vedette::outlier {

/// e^r for |r| <= log(2) / 2, of doubles or of vectors of them.
template <typename T>
inline T ExpNearZero(T r) {
  // Written out: a loop over the coefficients would keep the caller's loop from being vectorised.
  T p = r * (1.0 / 6227020800.0) + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p;
}

/// e^x for x in [-700, 0]; relative error below 1e-15. x = k log 2 + r; a polynomial for r, k into the exponent's bits.
inline double ExpOfNegative(double x) {
  constexpr double kShift = 0x1.8p52;  // adding it rounds to whole numbers, in the low bits
  const double shifted = x * 1.4426950408889634 + kShift;
  const double k = shifted - kShift;
  const double r = (x - k * 0x1.62e42fefa39efp-1) - k * 0x1.abc9e3b39803fp-56;
  const double p = ExpNearZero(r);
  return std::bit_cast<double>(std::bit_cast<int64_t>(p) + (std::bit_cast<int64_t>(shifted) << 52));
}

/// values[i] = e^values[i] for i < n, values at most 0, n a multiple of 4; below -690 the result is 0. Four at a time,
/// the same bits as ExpOfNegative.
inline void ExpAllOfNegative(double* values, size_t n) {
  using V4 = double __attribute__((vector_size(32)));
  using I4 = int64_t __attribute__((vector_size(32)));
  constexpr double kShift = 0x1.8p52;
  for (size_t i = 0; i < n; i += 4) {
    V4 x;
    std::memcpy(&x, values + i, sizeof x);
    const I4 live = x > -690.0;
    x = live ? x : V4{} - 690.0;
    const V4 shifted = x * 1.4426950408889634 + kShift, k = shifted - kShift;
    const V4 r = (x - k * 0x1.62e42fefa39efp-1) - k * 0x1.abc9e3b39803fp-56;
    const V4 p = ExpNearZero(r);
    const I4 bits = (reinterpret_cast<I4>(p) + (reinterpret_cast<I4>(shifted) << 52)) & live;
    std::memcpy(values + i, &bits, sizeof bits);
  }
}

}  // namespace vedette::outlier
