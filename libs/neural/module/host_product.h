// The loops of Multiply for any width of register; included once for each (host_kernels.cc, host_product_avx512.cc),
// behind what the processor is told to be. An element's sum runs over k in order whatever the width: the same bits.
#pragma once

#include "neural/module/host_kernels.h"

namespace vedette::neural::host {
namespace {

/// Rows x Registers of c at once: their sums stay in registers.
template <typename Register, int Rows, int Registers>
void Block(const Product& p, int64_t row, int64_t col) {
  const float* const a = p.a + row * p.a_row;
  const float* const b = p.b + col;
  Register sum[Rows][Registers];
  for (int r = 0; r < Rows; ++r) {
    for (int j = 0; j < Registers; ++j) {
      sum[r][j] = p.start != nullptr ? reinterpret_cast<const Register*>(p.start + col)[j] : Register{};
    }
  }
  for (int64_t k = 0; k < p.inner; ++k) {
    const auto* const from = reinterpret_cast<const Register*>(b + k * p.b_stride);
    for (int r = 0; r < Rows; ++r) {
      const float factor = a[r * p.a_row + k * p.a_inner];
      for (int j = 0; j < Registers; ++j) sum[r][j] += factor * from[j];
    }
  }
  for (int r = 0; r < Rows; ++r) {
    auto* const to = reinterpret_cast<Register*>(p.c + (row + r) * p.c_stride + col);
    for (int j = 0; j < Registers; ++j) to[j] = p.add ? to[j] + sum[r][j] : sum[r][j];
  }
}

template <typename Register, int Rows, int Registers>
void Strip(const Product& p, int64_t col) {
  int64_t row = 0;
  for (; row + Rows <= p.rows; row += Rows) Block<Register, Rows, Registers>(p, row, col);
  if constexpr (Rows > 4) {
    if (row + 4 <= p.rows) Block<Register, 4, Registers>(p, row, col), row += 4;
  }
  if (row + 2 <= p.rows) Block<Register, 2, Registers>(p, row, col), row += 2;
  if (row < p.rows) Block<Register, 1, Registers>(p, row, col);
}

}  // namespace
}  // namespace vedette::neural::host
