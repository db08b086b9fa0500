#include "neural/module/host_kernels.h"

#include <algorithm>
#include <cmath>

#include "neural/lanes.h"
#include "neural/module/host_product.h"

namespace vedette::neural::host {

void MultiplyAnywhere(const Product& p) {
  int64_t col = 0;
  // 12 sums, 3 registers of b and one of a fill the 16 of AVX2; what is left over is cut as evenly as it goes.
  while (p.cols - col >= 5 * kLanes || p.cols - col == 3 * kLanes) Strip<Lanes, 4, 3>(p, col), col += 3 * kLanes;
  while (p.cols - col >= 2 * kLanes) Strip<Lanes, 4, 2>(p, col), col += 2 * kLanes;
  if (col < p.cols) Strip<Lanes, 4, 1>(p, col);
}

void Multiply(const Product& p) {
#if defined(__x86_64__)
  static const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
  if (avx512) return MultiplyAvx512(p);
#endif
  MultiplyAnywhere(p);
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
