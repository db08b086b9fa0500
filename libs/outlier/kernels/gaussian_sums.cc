#include "outlier/kernels/gaussian_sums.h"

#include <algorithm>
#include <limits>

#include "outlier/kernels/processor.h"
#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {

/// 2^t for t in [-1000, 0]: t = k + r; the interpolant of 2^r, k into the exponent's bits.
inline F64x4 PowerOfTwo(F64x4 t) {
  const F64x4 shift = F64x4::Set(0x1.8p52);  // adding it rounds to whole numbers, in the low bits
  const F64x4 shifted = t + shift, r = t - (shifted - shift);
  F64x4 p = F64x4::Set(kPowerOfTwo[0]);
  for (int i = 1; i < kPowerOfTwoTerms; ++i) p = Fma(p, r, F64x4::Set(kPowerOfTwo[i]));
  return TimesPowerOfTwo(p, shifted);
}

/// What kQueries rows have summed so far: lanes of the blocks' lower and upper halves.
template <int kQueries>
struct Running {
  F64x4 total[2 * kQueries], nearest[2 * kQueries];
};

/// Adds kBlocks blocks from `block` on. The blocks' distances are computed side by side, so that a single query does
/// not wait for each sum, and added in order: the bits do not depend on kQueries or kBlocks.
template <int kQueries, int kBlocks>
void AddBlocks(const RowBlocks& rows, size_t block, const double* weights, double gamma, const double* const* x,
               const double* shift, Running<kQueries>& running) {
  const size_t d = rows.features(), step = d * RowBlocks::kWidth;
  const F64x4 factor = F64x4::Set(gamma * 1.4426950408889634), lowest = F64x4::Set(-1000);
  const double* values = rows.block(block);
  F64x4 squared[kBlocks][2 * kQueries];
  for (int b = 0; b < kBlocks; ++b) std::fill_n(squared[b], 2 * kQueries, F64x4::Zero());
  for (size_t j = 0; j < d; ++j, values += RowBlocks::kWidth) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) {
      const double* at = values + static_cast<size_t>(b) * step;
      const F64x4 low = F64x4::LoadAny(at), high = F64x4::LoadAny(at + 4);
      for (int q = 0; q < kQueries; ++q) {
        const F64x4 v = F64x4::Set(x[q][j]), a = v - low, c = v - high;
        squared[b][2 * q] = Fma(a, a, squared[b][2 * q]);
        squared[b][2 * q + 1] = Fma(c, c, squared[b][2 * q + 1]);
      }
    }
  }
#pragma GCC unroll 4
  for (int b = 0; b < kBlocks; ++b) {
    for (int i = 0; i < 2 * kQueries; ++i) {
      F64x4& total = running.total[i];
      running.nearest[i] = Min(running.nearest[i], squared[b][i]);
      const F64x4 from = F64x4::Set(shift == nullptr ? 0.0 : shift[i / 2]);
      const F64x4 kernel = PowerOfTwo(Max((from - squared[b][i]) * factor, lowest));
      if (weights == nullptr) {
        total = total + kernel;
      } else {
        const double* weight = weights + (block + static_cast<size_t>(b)) * RowBlocks::kWidth + 4 * (i % 2);
        total = Fma(F64x4::LoadAny(weight), kernel, total);
      }
    }
  }
}

template <int kQueries>
void Sums(const RowBlocks& rows, const double* weights, double gamma, const double* const* x, const double* shift,
          GaussianSum* out) {
  constexpr size_t kTogether = kQueries == 1 ? 4 : 1;
  const size_t blocks = rows.padded() / RowBlocks::kWidth;
  Running<kQueries> running;
  for (F64x4& t : running.total) t = F64x4::Zero();
  for (F64x4& v : running.nearest) v = F64x4::Set(std::numeric_limits<double>::infinity());
  size_t b = 0;
  for (; b + kTogether <= blocks; b += kTogether) {
    AddBlocks<kQueries, static_cast<int>(kTogether)>(rows, b, weights, gamma, x, shift, running);
  }
  for (; b < blocks; ++b) AddBlocks<kQueries, 1>(rows, b, weights, gamma, x, shift, running);
  for (int q = 0; q < kQueries; ++q) {
    double sum[4], least[4];
    (running.total[2 * q] + running.total[2 * q + 1]).Store(sum);
    Min(running.nearest[2 * q], running.nearest[2 * q + 1]).Store(least);
    out[q] = {(sum[0] + sum[2]) + (sum[1] + sum[3]), *std::min_element(least, least + 4)};
  }
}

}  // namespace

void GaussianSumsPortable(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                          const double* shift, int count, GaussianSum* out) {
  int q = 0;
  for (; q + 4 <= count; q += 4) Sums<4>(rows, weights, gamma, x + q, shift == nullptr ? nullptr : shift + q, out + q);
  for (; q < count; ++q) Sums<1>(rows, weights, gamma, x + q, shift == nullptr ? nullptr : shift + q, out + q);
}

void GaussianSums(const RowBlocks& rows, const double* weights, double gamma, const double* const* x,
                  const double* shift, int count, GaussianSum* out) {
  HasAvx512() ? GaussianSumsAvx512(rows, weights, gamma, x, shift, count, out)
              : GaussianSumsPortable(rows, weights, gamma, x, shift, count, out);
}

}  // namespace vedette::outlier
