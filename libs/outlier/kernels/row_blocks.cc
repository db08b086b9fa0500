#include "outlier/kernels/row_blocks.h"

namespace vedette::outlier {
namespace {
constexpr double kFar = 1e130;
}

RowBlocks::RowBlocks(std::span<const double> rows, size_t n, size_t d) : n_(n), d_(d), values_((n + kWidth - 1) / kWidth * kWidth * d, kFar) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < d; ++j) values_[(i / kWidth * d + j) * kWidth + i % kWidth] = rows[i * d + j];
  }
}

void RowBlocks::SquaredDistances(const double* x, double* out) const {
  const double* values = values_.data();
  for (size_t block = 0; block < padded(); block += kWidth) {
    double sum[kWidth] = {};
    for (size_t j = 0; j < d_; ++j, values += kWidth) {
      const double v = x[j];
      for (size_t r = 0; r < kWidth; ++r) sum[r] += (v - values[r]) * (v - values[r]);
    }
    for (size_t r = 0; r < kWidth; ++r) out[block + r] = sum[r];
  }
}

void RowBlocks::Products(const double* x, double* out) const {
  const double* values = values_.data();
  for (size_t block = 0; block < padded(); block += kWidth) {
    double sum[kWidth] = {};
    for (size_t j = 0; j < d_; ++j, values += kWidth) {
      const double v = x[j];
      for (size_t r = 0; r < kWidth; ++r) sum[r] += v * values[r];
    }
    for (size_t r = 0; r < kWidth; ++r) out[block + r] = sum[r];
  }
}

}  // namespace vedette::outlier
