// A network and its optimiser, in a backend's tensors (aten_backend.h, host_backend.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "neural/module/abi.h"

namespace vedette::neural {

/// A network of dense layers, in the backend's tensors.
template <typename Backend>
class Chain {
 public:
  using Tensor = typename Backend::Tensor;

  Chain(const VedetteNeuralNetwork& n, Backend& backend) : spec_(n), backend_(&backend) {
    const float* from = n.parameters;
    for (int32_t l = 0; l + 1 < n.size_count; ++l) {
      const int64_t in = n.sizes[l], out = n.sizes[l + 1];
      weights_.push_back(backend.Weights(from, out, in, n.fixed == 0));
      biases_.push_back(backend.Biases(from + in * out, out, n.fixed == 0 && n.use_bias != 0));
      from += (in + 1) * out;
    }
  }

  Tensor operator()(Tensor x) const {
    for (size_t l = 0; l < weights_.size(); ++l) {
      x = Activate(Backend::Affine(x, weights_[l], biases_[l]), l + 1 < weights_.size() ? spec_.hidden : spec_.output);
    }
    return x;
  }

  int64_t inputs() const { return spec_.sizes[0]; }
  int64_t outputs() const { return spec_.sizes[spec_.size_count - 1]; }
  const Tensor& first_weight() const { return weights_[0]; }
  const Tensor& first_bias() const { return biases_[0]; }

  void AppendLearnt(std::vector<Tensor>& out) const {
    for (size_t l = 0; l < weights_.size() && spec_.fixed == 0; ++l) {
      out.push_back(weights_[l]);
      if (spec_.use_bias != 0) out.push_back(biases_[l]);
    }
  }

  bool Finite() const {
    const auto finite = [](const Tensor& t) { return Backend::Finite(t); };
    return std::all_of(weights_.begin(), weights_.end(), finite) && std::all_of(biases_.begin(), biases_.end(), finite);
  }

  void CopyOut() const {
    float* to = spec_.parameters;
    for (int32_t l = 0; l + 1 < spec_.size_count; ++l) {
      const int64_t in = spec_.sizes[l], out = spec_.sizes[l + 1];
      Backend::CopyWeights(weights_[static_cast<size_t>(l)], to, out, in);
      Backend::CopyBiases(biases_[static_cast<size_t>(l)], to + in * out, out);
      to += (in + 1) * out;
    }
  }

 private:
  static Tensor Activate(const Tensor& x, int32_t activation) {
    switch (activation) {
      case VEDETTE_NEURAL_RELU:
        return relu(x);
      case VEDETTE_NEURAL_TANH:
        return tanh(x);
      case VEDETTE_NEURAL_SIGMOID:
        return sigmoid(x);
      default:
        return x;
    }
  }

  VedetteNeuralNetwork spec_;
  Backend* backend_;
  std::vector<Tensor> weights_, biases_;
};

/// Adam with weight decay as a part of the gradient; or gradient descent with momentum 0.9.
template <typename Backend>
class Optimizer {
 public:
  using Tensor = typename Backend::Tensor;

  Optimizer(const std::vector<const Chain<Backend>*>& chains, Backend& backend, double rate, double decay,
            bool momentum = false)
      : backend_(&backend), rate_(rate) {
    for (const auto* c : chains) c->AppendLearnt(parameters_);
    for (const Tensor& p : parameters_) rules_.emplace_back(p, decay, momentum);
  }

  /// Gradients of `loss` for these parameters alone; `share` of the learning rate.
  void Minimise(const Tensor& loss, double share = 1) {
    backend_->Backward(loss, parameters_);
    for (size_t i = 0; i < parameters_.size(); ++i) rules_[i].Apply(parameters_[i], rate_ * share);
  }

 private:
  Backend* backend_;
  double rate_;
  std::vector<Tensor> parameters_;
  std::vector<typename Backend::Rule> rules_;
};

}  // namespace vedette::neural
