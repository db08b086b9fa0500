// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015), one tensor at a time. On the CPU one
// pass over plain arrays: small networks are bound by the number of ATen's calls, and this is one where its operators
// would be seven.
#pragma once

#include <ATen/ATen.h>

#include <cmath>

namespace vedette::neural {

class Adam {
 public:
  Adam(const at::Tensor& parameters, double rate, double decay = 0)
      : rate_(rate), decay_(decay), mean_(at::zeros_like(parameters)), square_(at::zeros_like(parameters)) {}

  /// `gradient` is that of the loss; weight decay is added to it here. Both contiguous, float32, of one shape and
  /// device.
  void Step(at::Tensor& parameters, const at::Tensor& gradient) {
    mean_share_ *= kBeta1;
    square_share_ *= kBeta2;
    const double rate = rate_ / (1 - mean_share_), root_scale = 1 / std::sqrt(1 - square_share_);
    if (parameters.device().is_cpu()) return StepOnCpu(parameters, gradient, rate, root_scale);
    const at::Tensor g = decay_ > 0 ? gradient.add(parameters, decay_) : gradient;
    mean_.mul_(kBeta1).add_(g, 1 - kBeta1);
    square_.mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
    parameters.addcdiv_(mean_, square_.sqrt().mul_(root_scale).add_(kEpsilon), -rate);
  }

 private:
  static constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

  void StepOnCpu(at::Tensor& parameters, const at::Tensor& gradient, double rate, double root_scale) {
    const at::Tensor dense = gradient.contiguous();
    const float* const g = dense.data_ptr<float>();
    float* const p = parameters.data_ptr<float>();
    float* const m = mean_.data_ptr<float>();
    float* const s = square_.data_ptr<float>();
    const auto scale = static_cast<float>(root_scale), step = static_cast<float>(rate),
               decay = static_cast<float>(decay_);
    constexpr auto kMean = static_cast<float>(kBeta1), kNewMean = static_cast<float>(1 - kBeta1);
    constexpr auto kSquare = static_cast<float>(kBeta2), kNewSquare = static_cast<float>(1 - kBeta2);
    const int64_t count = parameters.numel();
    for (int64_t i = 0; i < count; ++i) {
      const float slope = g[i] + decay * p[i];
      m[i] = kMean * m[i] + kNewMean * slope;
      s[i] = kSquare * s[i] + kNewSquare * slope * slope;
      p[i] -= step * m[i] / (std::sqrt(s[i]) * scale + static_cast<float>(kEpsilon));
    }
  }

  double rate_, decay_;
  double mean_share_ = 1, square_share_ = 1;
  at::Tensor mean_, square_;
};

}  // namespace vedette::neural
