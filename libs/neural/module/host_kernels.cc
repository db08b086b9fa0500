#include "neural/module/host_kernels.h"

#include <algorithm>
#include <cmath>

#include "neural/lanes.h"

namespace vedette::neural::host {
namespace {

/// Rows x Registers of c at once: their sums stay in registers.
template <int Rows, int Registers>
void Block(const Product& p, int64_t row, int64_t col) {
  const float* const a = p.a + row * p.a_row;
  const float* const b = p.b + col;
  Lanes sum[Rows][Registers];
  for (int r = 0; r < Rows; ++r) {
    for (int j = 0; j < Registers; ++j) {
      sum[r][j] = p.start != nullptr ? reinterpret_cast<const Lanes*>(p.start + col)[j] : Lanes{};
    }
  }
  for (int64_t k = 0; k < p.inner; ++k) {
    const auto* const from = reinterpret_cast<const Lanes*>(b + k * p.b_stride);
    for (int r = 0; r < Rows; ++r) {
      const float factor = a[r * p.a_row + k * p.a_inner];
      for (int j = 0; j < Registers; ++j) sum[r][j] += factor * from[j];
    }
  }
  for (int r = 0; r < Rows; ++r) {
    auto* const to = reinterpret_cast<Lanes*>(p.c + (row + r) * p.c_stride + col);
    for (int j = 0; j < Registers; ++j) to[j] = p.add ? to[j] + sum[r][j] : sum[r][j];
  }
}

template <int Registers>
void Strip(const Product& p, int64_t col) {
  int64_t row = 0;
  for (; row + 4 <= p.rows; row += 4) Block<4, Registers>(p, row, col);
  if (row + 2 <= p.rows) Block<2, Registers>(p, row, col), row += 2;
  if (row < p.rows) Block<1, Registers>(p, row, col);
}

}  // namespace

void Multiply(const Product& p) {
  int64_t col = 0;
  // 12 sums, 3 registers of b and one of a fill the 16 of AVX2; what is left over is cut as evenly as it goes.
  while (p.cols - col >= 5 * kLanes || p.cols - col == 3 * kLanes) Strip<3>(p, col), col += 3 * kLanes;
  while (p.cols - col >= 2 * kLanes) Strip<2>(p, col), col += 2 * kLanes;
  if (col < p.cols) Strip<1>(p, col);
}

void Turn(const float* from, int64_t rows, int64_t cols, int64_t from_stride, float* to, int64_t to_stride) {
  constexpr int64_t kSide = 8;
  for (int64_t i = 0; i < rows; i += kSide) {
    for (int64_t j = 0; j < cols; ++j) {
      for (int64_t k = i; k < std::min(i + kSide, rows); ++k) to[j * to_stride + k] = from[k * from_stride + j];
    }
  }
}

void AdamStep(float* parameters, const float* gradient, float* mean, float* square, int64_t count, double rate,
              double root_scale, double decay) {
  const auto scale = static_cast<float>(root_scale), step = static_cast<float>(rate), pull = static_cast<float>(decay);
  constexpr auto kMean = static_cast<float>(kAdamMean), kNewMean = static_cast<float>(1 - kAdamMean);
  constexpr auto kSquare = static_cast<float>(kAdamSquare), kNewSquare = static_cast<float>(1 - kAdamSquare);
  constexpr float kEpsilon = 1e-8f;
  for (int64_t i = 0; i < count; ++i) {
    const float slope = gradient[i] + pull * parameters[i];
    mean[i] = kMean * mean[i] + kNewMean * slope;
    square[i] = kSquare * square[i] + kNewSquare * slope * slope;
    parameters[i] -= step * mean[i] / (std::sqrt(square[i]) * scale + kEpsilon);
  }
}

void MomentumStep(float* parameters, const float* gradient, float* velocity, int64_t count, double rate) {
  const auto step = static_cast<float>(rate);
  for (int64_t i = 0; i < count; ++i) {
    velocity[i] = 0.9f * velocity[i] + gradient[i];
    parameters[i] -= step * velocity[i];
  }
}

}  // namespace vedette::neural::host
