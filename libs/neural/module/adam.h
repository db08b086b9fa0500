// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015), one tensor at a time. On the CPU one
// pass over plain arrays: small networks are bound by the number of ATen's calls, and this is one where its operators
// would be seven.
#pragma once

#include <ATen/ATen.h>

#include <cmath>

#include "neural/module/host_kernels.h"

namespace vedette::neural {

class Adam {
 public:
  Adam(const at::Tensor& parameters, double rate, double decay = 0)
      : rate_(rate), decay_(decay), mean_(at::zeros_like(parameters)), square_(at::zeros_like(parameters)) {}

  void SetRate(double rate) { rate_ = rate; }

  /// `gradient` is that of the loss; weight decay is added to it here. Both contiguous, float32, of one shape and
  /// device.
  void Step(at::Tensor& parameters, const at::Tensor& gradient) {
    mean_share_ *= kBeta1;
    square_share_ *= kBeta2;
    const double rate = rate_ / (1 - mean_share_), root_scale = 1 / std::sqrt(1 - square_share_);
    if (parameters.device().is_cpu()) {
      const at::Tensor dense = gradient.contiguous();
      return host::AdamStep(parameters.data_ptr<float>(), dense.data_ptr<float>(), mean_.data_ptr<float>(),
                            square_.data_ptr<float>(), parameters.numel(), rate, root_scale, decay_);
    }
    const at::Tensor g = decay_ > 0 ? gradient.add(parameters, decay_) : gradient;
    mean_.mul_(kBeta1).add_(g, 1 - kBeta1);
    square_.mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
    parameters.addcdiv_(mean_, square_.sqrt().mul_(root_scale).add_(kEpsilon), -rate);
  }

 private:
  static constexpr double kBeta1 = host::kAdamMean, kBeta2 = host::kAdamSquare, kEpsilon = 1e-8;

  double rate_, decay_;
  double mean_share_ = 1, square_share_ = 1;
  at::Tensor mean_, square_;
};

}  // namespace vedette::neural
