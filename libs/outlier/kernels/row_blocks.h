// Rows in blocks of eight, feature by feature, so that one row is compared with eight at once.
#pragma once

#include <cstddef>
#include <span>

#include "base/context.h"
#include "outlier/kernels/aligned.h"

namespace vedette::outlier {

class RowBlocks {
 public:
  static constexpr size_t kWidth = 8;

  RowBlocks() = default;
  /// rows: n x d, row-major. Not to be used if ctx.Check() was not OK on the way.
  RowBlocks(std::span<const double> rows, size_t n, size_t d, const Context& ctx = {});
  size_t rows() const { return n_; }
  /// rows() rounded up to a multiple of kWidth: the size of `out` below. What is beyond rows() is far from everything.
  size_t padded() const { return (n_ + kWidth - 1) / kWidth * kWidth; }
  /// out[i] = squared Euclidean distance of x to row i, terms in the order of the features.
  void SquaredDistances(const double* x, double* out) const { SquaredDistances(x, 0, padded(), out); }
  /// Of rows [begin, end) alone, both multiples of kWidth, to out[begin] and so on.
  void SquaredDistances(const double* x, size_t begin, size_t end, double* out) const;
  /// out[i] = x . row i.
  void Products(const double* x, double* out) const;
  size_t features() const { return d_; }
  /// Block b: kWidth rows, feature by feature.
  const double* block(size_t b) const { return values_.get() + b * d_ * kWidth; }
  double at(size_t row, size_t feature) const { return block(row / kWidth)[feature * kWidth + row % kWidth]; }

 private:
  template <int kBlocks, bool kGaps>
  void Some(const double* values, const double* x, double* out) const;
  template <bool kGaps>
  void Range(const double* x, size_t begin, size_t end, double* out) const;

  size_t n_ = 0, d_ = 0;
  AlignedArray<double> values_;
};

}  // namespace vedette::outlier
