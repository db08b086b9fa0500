// What training on the processor spends its time in: products of small matrices and Adam's step, float32, one thread,
// sums in a fixed order (same bits on every call). No Torch.
#pragma once

#include <cstdint>

namespace vedette::neural::host {

constexpr int64_t kLanes = 8;  // floats a register; rows are padded to whole registers

constexpr int64_t Padded(int64_t columns) { return (columns + kLanes - 1) / kLanes * kLanes; }

/// c[i][j] = start[j] + sum over k of a[i * a_row + k * a_inner] * b[k * b_stride + j]; added to c when `add`.
struct Product {
  int64_t rows, inner, cols;  // cols: a multiple of kLanes
  const float* a;
  int64_t a_row, a_inner;  // either may be 1: `a` as it is, or turned
  const float* b;          // this, c and start are aligned to registers, strides are multiples of kLanes
  int64_t b_stride;
  float* c;
  int64_t c_stride;
  const float* start = nullptr;  // null: 0
  bool add = false;
};
void Multiply(const Product& p);
/// Its forms, with the same bits: for all processors, and for those with AVX-512.
void MultiplyAnywhere(const Product& p);
void MultiplyAvx512(const Product& p);

/// to[j][i] = from[i][j].
void Turn(const float* from, int64_t rows, int64_t cols, int64_t from_stride, float* to, int64_t to_stride);

/// One step of Adam; `rate` and `root_scale` with the corrections of the moments' bias, `decay` is added to the
/// gradient.
void AdamStep(float* parameters, const float* gradient, float* mean, float* square, int64_t count, double rate,
              double root_scale, double decay);
/// Gradient descent with momentum 0.9.
void MomentumStep(float* parameters, const float* gradient, float* velocity, int64_t count, double rate);

constexpr double kAdamMean = 0.9, kAdamSquare = 0.999;

}  // namespace vedette::neural::host
