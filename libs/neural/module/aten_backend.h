// ATen's tensors and automatic differentiation, on any device, for learner.h.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstdint>
#include <vector>

#include "neural/module/adam.h"

namespace vedette::neural {

inline at::Tensor RowSums(const at::Tensor& x) { return x.sum(1, /*keepdim=*/true); }
inline at::Tensor RowSoftmax(const at::Tensor& x) { return at::softmax(x, 1); }
inline at::Tensor Clamp(const at::Tensor& x, double most) { return x.clamp(-most, most); }

class AtenBackend {
 public:
  using Tensor = at::Tensor;
  using Recording = c10::AutoGradMode;

  explicit AtenBackend(at::Device device) : device_(device) {}

  using Table = at::Tensor;
  /// On the CPU a view.
  Tensor Data(const float* from, int64_t rows, int64_t cols) const { return View(from, {rows, cols}).to(device_); }
  Tensor Constant(const float* from, int64_t rows, int64_t cols) const { return Copy(from, {rows, cols}); }
  Tensor Weights(const float* from, int64_t out, int64_t in, bool learnt) const {
    return Copy(from, {out, in}).set_requires_grad(learnt);
  }
  Tensor Biases(const float* from, int64_t out, bool learnt) const {
    return Copy(from, {out}).set_requires_grad(learnt);
  }
  static void CopyWeights(const Tensor& t, float* to, int64_t out, int64_t in) {
    at::from_blob(to, {out, in}, at::kFloat).copy_(t.detach());
  }
  static void CopyBiases(const Tensor& t, float* to, int64_t out) {
    at::from_blob(to, {out}, at::kFloat).copy_(t.detach());
  }
  static bool Finite(const Tensor& t) { return at::isfinite(t).all().item<bool>(); }
  static std::vector<float> Column(const Tensor& t) {
    const Tensor here = t.to(at::kCPU).contiguous();
    return {here.data_ptr<float>(), here.data_ptr<float>() + here.numel()};
  }

  Tensor Order(const std::vector<int64_t>& rows) const {
    Tensor here = at::from_blob(const_cast<int64_t*>(rows.data()), {static_cast<int64_t>(rows.size())}, at::kLong);
    return here.to(device_);
  }
  Tensor Rows(const Tensor& from, const Tensor& order, int64_t begin, int64_t count) const {
    return from.index_select(0, order.narrow(0, begin, count));
  }
  static Tensor Affine(const Tensor& x, const Tensor& weights, const Tensor& biases) {
    return at::addmm(biases, x, weights.t());
  }

  void Backward(const Tensor& loss, const std::vector<Tensor>& wanted) const {
    loss.sum().backward({}, /*retain_graph=*/false, /*create_graph=*/false, wanted);
  }
  void EndStep() const {}

  /// Adds up numbers on the device: reading waits for it.
  class Sum {
   public:
    explicit Sum(const AtenBackend& backend)
        : total_(at::zeros({}, at::TensorOptions(backend.device_).dtype(at::kDouble))) {}
    void Add(const Tensor& number, double weight) { total_.add_(number.detach().sum().to(at::kDouble), weight); }
    double Read() const { return total_.item<double>(); }

   private:
    Tensor total_;
  };

  /// What the optimiser keeps of a parameter.
  class Rule {
   public:
    Rule(const Tensor& p, double decay, bool momentum) : momentum_(momentum), adam_(p.detach(), decay) {
      if (momentum) velocity_ = at::zeros_like(p.detach());
    }
    void Apply(Tensor& p, double rate) {
      const Tensor g = p.grad();
      if (!g.defined()) return;
      const c10::NoGradGuard none;
      p.mutable_grad() = Tensor();
      if (momentum_) {
        velocity_.mul_(0.9).add_(g);
        p.sub_(velocity_, rate);
      } else {
        adam_.Step(p, g, rate);
      }
    }

   private:
    bool momentum_;
    Adam adam_;
    Tensor velocity_;
  };

 private:
  static Tensor View(const float* from, at::IntArrayRef shape) {
    return at::from_blob(const_cast<float*>(from), shape, at::kFloat);
  }
  Tensor Copy(const float* from, at::IntArrayRef shape) const {
    return View(from, shape).to(device_, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }

  at::Device device_;
};

}  // namespace vedette::neural
