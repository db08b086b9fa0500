// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015) with ATen's operators, one tensor at a
// time; host_kernels.h has it for plain arrays.
#pragma once

#include <ATen/ATen.h>

#include <cmath>

namespace vedette::neural {

class Adam {
 public:
  Adam(const at::Tensor& parameters, double decay)
      : decay_(decay), mean_(at::zeros_like(parameters)), square_(at::zeros_like(parameters)) {}

  /// `gradient` is that of the loss; weight decay is added to it here. Both float32, of one shape and device.
  void Step(at::Tensor& parameters, const at::Tensor& gradient, double rate) {
    mean_share_ *= kBeta1;
    square_share_ *= kBeta2;
    const double root_scale = 1 / std::sqrt(1 - square_share_);
    const at::Tensor g = decay_ > 0 ? gradient.add(parameters, decay_) : gradient;
    mean_.mul_(kBeta1).add_(g, 1 - kBeta1);
    square_.mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
    parameters.addcdiv_(mean_, square_.sqrt().mul_(root_scale).add_(kEpsilon), -rate / (1 - mean_share_));
  }

 private:
  static constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

  double decay_;
  double mean_share_ = 1, square_share_ = 1;
  at::Tensor mean_, square_;
};

}  // namespace vedette::neural
