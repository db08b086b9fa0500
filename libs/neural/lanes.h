// Eight float32 numbers side by side, and the functions of them that networks need. C++17: the module includes it, too.
#pragma once

#include <cstdint>

namespace vedette::neural {

// GCC and clang lower it to what the target has: one AVX register, two NEON registers.
using Lanes = float __attribute__((vector_size(32), may_alias));
using Bits = int32_t __attribute__((vector_size(32), may_alias));

/// e^x for x in [-87, 0], relative error below 3e-7: x = k log 2 + r, the series of e^r, k into the exponent's bits.
inline Lanes ExpOfNegative(Lanes x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers, in the low bits
  const Lanes shifted = x * 1.44269504f + kShift, k = shifted - kShift;
  const Lanes r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  Lanes p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return reinterpret_cast<Lanes>(reinterpret_cast<Bits>(p) + (reinterpret_cast<Bits>(shifted) << 23));
}

/// Of a NaN: 1 or -1, so that no network makes one of ordinary weights.
inline Lanes Tanh(Lanes x) {
  const Lanes zero = {};
  Lanes size = x < zero ? -x : x;
  size = size < zero + 9.0f ? size : zero + 9.0f;  // tanh is 1 there
  const Lanes e = ExpOfNegative(-2.0f * size), far = (1.0f - e) / (1.0f + e);
  const Lanes s2 = size * size,
              near = size * (1.0f + s2 * (-1.0f / 3 + s2 * (2.0f / 15)));  // no cancellation for small x
  const Lanes y = size < zero + 0.06f ? near : far;
  return x < zero ? -y : y;
}

inline Lanes Sigmoid(Lanes x) {
  const Lanes zero = {};
  Lanes size = x < zero ? -x : x;
  size = size < zero + 87.0f ? size : zero + 87.0f;
  const Lanes e = ExpOfNegative(-size), y = 1.0f / (1.0f + e);
  return x < zero ? e * y : y;
}

/// log(1 + x) for x in [0, 1], absolute error below 2e-7: twice the series of atanh(x / (2 + x)).
inline Lanes LogOfOnePlus(Lanes x) {
  const Lanes s = x / (2.0f + x), s2 = s * s;
  Lanes p = s2 * (1.0f / 13) + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  p = p * s2 + 1.0f;
  return 2.0f * s * p;
}

namespace lanes {

/// Sine (odd) or cosine of x: relative to the multiple k of pi nearest to x, whose parity is the sign. Absolute error
/// below 2e-7 for |x| < 1e4, growing as float32's own spacing beyond; in [-1.1, 1.1] for every finite x.
inline Lanes Wave(Lanes x, bool odd) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers, in the low bits
  const Lanes zero = {};
  const Lanes shifted = x * 0.318309886f + kShift, k = shifted - kShift;
  // pi in three parts, the first two short enough for exact products.
  Lanes r = ((x - k * 3.140625f) - k * 9.67502593994140625e-4f) - k * 1.509957990978376432e-7f;
  r = r > zero + 1.6f ? zero + 1.6f : r;
  r = r < zero - 1.6f ? zero - 1.6f : r;
  const Lanes r2 = r * r;
  Lanes y;
  if (odd) {
    y = r2 * (1.0f / 6227020800) - 1.0f / 39916800;
    y = y * r2 + 1.0f / 362880;
    y = y * r2 - 1.0f / 5040;
    y = y * r2 + 1.0f / 120;
    y = y * r2 - 1.0f / 6;
    y = (y * r2 + 1.0f) * r;
  } else {
    y = r2 * (1.0f / 479001600) - 1.0f / 3628800;
    y = y * r2 + 1.0f / 40320;
    y = y * r2 - 1.0f / 720;
    y = y * r2 + 1.0f / 24;
    y = y * r2 - 0.5f;
    y = y * r2 + 1.0f;
  }
  const Bits sign = reinterpret_cast<Bits>(shifted) << 31;
  return reinterpret_cast<Lanes>(reinterpret_cast<Bits>(y) ^ sign);
}

}  // namespace lanes

inline Lanes Sine(Lanes x) { return lanes::Wave(x, true); }
inline Lanes Cosine(Lanes x) { return lanes::Wave(x, false); }

}  // namespace vedette::neural
