#include "outlier/kernels/row_blocks.h"

#include <algorithm>

#include "base/status.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"

namespace vedette::outlier {
namespace {
constexpr double kNowhere = 1e130;
}

RowBlocks::RowBlocks(std::span<const double> rows, size_t n, size_t d, const Context& ctx)
    : n_(n), d_(d), values_(static_cast<int64_t>(padded() * d)) {
  if (n % kWidth != 0) std::fill_n(values_.get() + n / kWidth * kWidth * d, kWidth * d, kNowhere);
  const auto fill = [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      double* const to = values_.get() + i / kWidth * kWidth * d + i % kWidth;
      for (size_t j = 0; j < d; ++j) to[j * kWidth] = rows[i * d + j];
    }
  };
  (void)Blocks(ctx, static_cast<int64_t>(n), RowsPerLook(static_cast<int64_t>(2 * d)), fill);  // the caller asks ctx
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
void RowBlocks::Range(const double* x, size_t begin, size_t end, double* out) const {
  const double* values = block(begin / kWidth);
  size_t row = begin;
  for (; row + 2 * kWidth <= end; row += 2 * kWidth, values += 2 * kWidth * d_) Some<2, kGaps>(values, x, out + row);
  if (row < end) Some<1, kGaps>(values, x, out + row);
}

void RowBlocks::SquaredDistances(const double* x, size_t begin, size_t end, double* out) const {
  Range<true>(x, begin, end, out);
}
void RowBlocks::Products(const double* x, double* out) const { Range<false>(x, 0, padded(), out); }

}  // namespace vedette::outlier
