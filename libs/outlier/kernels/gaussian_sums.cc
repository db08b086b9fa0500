#include "outlier/kernels/gaussian_sums.h"

#include <algorithm>
#include <limits>

#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {

/// 2^t for t in [-1000, 0]: t = k + r; the Chebyshev interpolant of 2^r on [-1/2, 1/2] (off by 4e-18), k into the
/// exponent's bits.
inline F64x4 PowerOfTwo(F64x4 t) {
  const F64x4 shift = F64x4::Set(0x1.8p52);  // adding it rounds to whole numbers, in the low bits
  const F64x4 shifted = t + shift, r = t - (shifted - shift);
  F64x4 p = F64x4::Set(4.4558179083360645e-10);
  for (const double c : {7.074194297288521e-09, 1.0178057087733941e-07, 1.3215432535912375e-06, 1.5252733841556773e-05,
                         0.00015403530463724353, 0.001333355814640647, 0.009618129107587256, 0.055504108664821625,
                         0.24022650695910158, 0.6931471805599453, 1.0}) {
    p = Fma(p, r, F64x4::Set(c));
  }
  return TimesPowerOfTwo(p, shifted);
}

template <int kQueries>
void Sums(const RowBlocks& rows, const double* weights, double gamma, const double* const* x, const double* shift,
          GaussianSum* out) {
  const size_t d = rows.features(), blocks = rows.padded() / RowBlocks::kWidth;
  const F64x4 factor = F64x4::Set(gamma * 1.4426950408889634), lowest = F64x4::Set(-1000);
  F64x4 total[2 * kQueries], nearest[2 * kQueries];
  for (F64x4& t : total) t = F64x4::Zero();
  for (F64x4& v : nearest) v = F64x4::Set(std::numeric_limits<double>::infinity());
  for (size_t b = 0; b < blocks; ++b) {
    const double* values = rows.block(b);
    F64x4 squared[2 * kQueries];
    for (F64x4& s : squared) s = F64x4::Zero();
    for (size_t j = 0; j < d; ++j, values += RowBlocks::kWidth) {
      const F64x4 low = F64x4::LoadAny(values), high = F64x4::LoadAny(values + 4);
      for (int q = 0; q < kQueries; ++q) {
        const F64x4 v = F64x4::Set(x[q][j]), a = v - low, c = v - high;
        squared[2 * q] = Fma(a, a, squared[2 * q]);
        squared[2 * q + 1] = Fma(c, c, squared[2 * q + 1]);
      }
    }
    for (int i = 0; i < 2 * kQueries; ++i) {
      nearest[i] = Min(nearest[i], squared[i]);
      const F64x4 from = F64x4::Set(shift == nullptr ? 0.0 : shift[i / 2]);
      const F64x4 kernel = PowerOfTwo(Max((from - squared[i]) * factor, lowest));
      if (weights == nullptr) {
        total[i] = total[i] + kernel;
      } else {
        total[i] = Fma(F64x4::LoadAny(weights + b * RowBlocks::kWidth + 4 * (i % 2)), kernel, total[i]);
      }
    }
  }
  for (int q = 0; q < kQueries; ++q) {
    double sum[4], least[4];
    (total[2 * q] + total[2 * q + 1]).Store(sum);
    Min(nearest[2 * q], nearest[2 * q + 1]).Store(least);
    out[q] = {(sum[0] + sum[2]) + (sum[1] + sum[3]), *std::min_element(least, least + 4)};
  }
}

}  // namespace

void GaussianSums(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                  const double* shift, int count, GaussianSum* out) {
  int q = 0;
  for (; q + 4 <= count; q += 4) Sums<4>(rows, weights, gamma, x + q, shift == nullptr ? nullptr : shift + q, out + q);
  for (; q < count; ++q) Sums<1>(rows, weights, gamma, x + q, shift == nullptr ? nullptr : shift + q, out + q);
}

}  // namespace vedette::outlier
