// exp for arguments up to 0, without branches, so that loops over it are vectorised.
#pragma once

#include <bit>
#include <cstdint>

namespace vedette::outlier {

/// e^x for x in [-700, 0]; relative error below 1e-15. x = k log 2 + r; a polynomial for r, k into the exponent's bits.
inline double ExpOfNegative(double x) {
  constexpr double kShift = 0x1.8p52;  // adding it rounds to whole numbers, in the low bits
  const double shifted = x * 1.4426950408889634 + kShift;
  const double k = shifted - kShift;
  const double r = (x - k * 0x1.62e42fefa39efp-1) - k * 0x1.abc9e3b39803fp-56;
  double p = 1.0 / 6227020800.0;
  for (const double c : {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                         1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0}) {
    p = p * r + c;
  }
  return std::bit_cast<double>(std::bit_cast<int64_t>(p) + (std::bit_cast<int64_t>(shifted) << 52));
}

}  // namespace vedette::outlier
