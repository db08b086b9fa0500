#include "outlier/kernels/row_blocks.h"

#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {
constexpr double kNowhere = 1e130;
}

RowBlocks::RowBlocks(std::span<const double> rows, size_t n, size_t d)
    : n_(n), d_(d), values_((n + kWidth - 1) / kWidth * kWidth * d, kNowhere) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < d; ++j) values_[(i / kWidth * d + j) * kWidth + i % kWidth] = rows[i * d + j];
  }
}

// Two blocks at a time, so that four sums are under way at once.
template <int kBlocks, bool kGaps>
void RowBlocks::Some(const double* values, const double* x, double* out) const {
  F64x4 sum[2 * kBlocks];
  for (F64x4& s : sum) s = F64x4::Zero();
  for (size_t j = 0; j < d_; ++j) {
    const F64x4 v = F64x4::Set(x[j]);
    for (int b = 0; b < kBlocks; ++b) {
      for (int half = 0; half < 2; ++half) {
        const F64x4 row = F64x4::LoadAny(values + (static_cast<size_t>(b) * d_ + j) * kWidth + 4 * half);
        F64x4& s = sum[2 * b + half];
        if constexpr (kGaps) {
          const F64x4 gap = v - row;
          s = Fma(gap, gap, s);
        } else {
          s = Fma(v, row, s);
        }
      }
    }
  }
  for (int i = 0; i < 2 * kBlocks; ++i) sum[i].Store(out + 4 * i);
}

template <bool kGaps>
void RowBlocks::All(const double* x, double* out) const {
  const double* values = values_.data();
  size_t row = 0;
  for (; row + 2 * kWidth <= padded(); row += 2 * kWidth, values += 2 * kWidth * d_)
    Some<2, kGaps>(values, x, out + row);
  if (row < padded()) Some<1, kGaps>(values, x, out + row);
}

void RowBlocks::SquaredDistances(const double* x, double* out) const { All<true>(x, out); }
void RowBlocks::Products(const double* x, double* out) const { All<false>(x, out); }

}  // namespace vedette::outlier
