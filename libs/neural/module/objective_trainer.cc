// One loop for all objectives: batches in an order drawn by seed, noise from our own generator (so that it does not depend on
// the device), gradients by ATen. Objectives differ in their loss alone; adversarial ones have two, minimised in turn.
#include "neural/module/objective_trainer.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "neural/module/adam.h"
#include "neural/module/device.h"

namespace vedette::neural {
namespace {

using at::Tensor;

constexpr uint64_t kNoiseStream = 1;

Tensor Activate(const Tensor& x, int32_t activation) {
  switch (activation) {
    case VEDETTE_NEURAL_RELU: return at::relu(x);
    case VEDETTE_NEURAL_TANH: return at::tanh(x);
    case VEDETTE_NEURAL_SIGMOID: return at::sigmoid(x);
    default: return x;
  }
}

class Chain {
 public:
  Chain(const VedetteNeuralNetwork& n, at::Device device) : spec_(n) {
    const Tensor flat = at::from_blob(n.parameters, {n.parameter_count}, at::kFloat);
    int64_t at = 0;
    for (int32_t l = 0; l + 1 < n.size_count; ++l) {
      const int64_t in = n.sizes[l], out = n.sizes[l + 1];
      Take(flat, at, {out, in}, device, n.fixed == 0);
      Take(flat, at + in * out, {out}, device, n.fixed == 0 && n.use_bias != 0);
      at += (in + 1) * out;
    }
  }

  Tensor operator()(Tensor x) const {
    for (size_t l = 0; l < tensors_.size(); l += 2) {
      x = Activate(at::addmm(tensors_[l + 1], x, tensors_[l].t()), l + 2 < tensors_.size() ? spec_.hidden : spec_.output);
    }
    return x;
  }

  int64_t inputs() const { return spec_.sizes[0]; }
  const Tensor& first_weight() const { return tensors_[0]; }
  const Tensor& first_bias() const { return tensors_[1]; }

  void AppendLearnt(std::vector<Tensor>& out) const {
    for (const Tensor& t : tensors_) {
      if (t.requires_grad()) out.push_back(t);
    }
  }

  bool Finite() const {
    return std::all_of(tensors_.begin(), tensors_.end(), [](const Tensor& t) { return at::isfinite(t).all().item<bool>(); });
  }

  void CopyOut() const {
    int64_t at = 0;
    for (const Tensor& t : tensors_) {
      at::from_blob(spec_.parameters + at, t.sizes(), at::kFloat).copy_(t.detach());
      at += t.numel();
    }
  }

 private:
  void Take(const Tensor& flat, int64_t at, std::vector<int64_t> shape, at::Device device, bool learnt) {
    const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    Tensor t = flat.narrow(0, at, count).view(shape).to(device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    tensors_.push_back(t.set_requires_grad(learnt));
  }

  VedetteNeuralNetwork spec_;
  std::vector<Tensor> tensors_;  // weight, bias, weight, bias...
};

/// Adam with weight decay as a part of the gradient; or gradient descent with momentum 0.9.
class Optimizer {
 public:
  Optimizer(const std::vector<const Chain*>& chains, double rate, double decay, bool momentum = false) : rate_(rate), momentum_(momentum) {
    for (const Chain* c : chains) c->AppendLearnt(parameters_);
    for (const Tensor& p : parameters_) {
      if (momentum) {
        velocity_.push_back(at::zeros_like(p));
      } else {
        adam_.emplace_back(p.detach(), rate, decay);
      }
    }
  }

  /// Gradients of `loss` for these parameters alone; others that took part keep none.
  void Minimise(const Tensor& loss) {
    loss.backward({}, /*retain_graph=*/false, /*create_graph=*/false, parameters_);
    const c10::NoGradGuard none;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      Tensor& p = parameters_[i];
      const Tensor g = p.grad();
      if (!g.defined()) continue;
      p.mutable_grad() = Tensor();
      if (momentum_) {
        velocity_[i].mul_(0.9).add_(g);
        p.sub_(velocity_[i], rate_);
      } else {
        adam_[i].Step(p, g);
      }
    }
  }

 private:
  double rate_;
  bool momentum_;
  std::vector<Tensor> parameters_, velocity_;
  std::vector<Adam> adam_;
};

/// Cross entropy of logits with "is real" (1), "is made" (0), or something between.
Tensor Entropy(const Tensor& logits, double target) {
  if (target == 0) return at::softplus(logits).mean();
  if (target == 1) return at::softplus(-logits).mean();
  return (at::softplus(logits) - logits * target).mean();
}

/// Cross entropies of the judgements of `real` and `made` (the same number of rows) with `target` and 1 - `target`, summed, in one
/// pass through the network. `target` is 0 or 1.
template <typename Judge>
Tensor PairEntropy(const Judge& judge, const Tensor& real, const Tensor& made, double target) {
  const Tensor logits = judge(at::cat({real, made}));
  const std::vector<Tensor> parts = logits.split(real.size(0));
  const Tensor wrong = target > 0 ? at::cat({-parts[0], parts[1]}) : at::cat({parts[0], -parts[1]});
  return 2 * at::softplus(wrong).mean();
}

class Learner {
 public:
  Learner(const VedetteNeuralObjective& o, at::Device device) : o_(o), device_(device), noise_(o.seed, kNoiseStream) {
    inputs_ = at::from_blob(const_cast<float*>(o.inputs), {o.rows, o.width}, at::kFloat).to(device);
    if (o.targets != nullptr) targets_ = at::from_blob(const_cast<float*>(o.targets), {o.target_count}, at::kFloat).to(device);
    for (int32_t i = 0; i < o.network_count; ++i) nets_.emplace_back(o.networks[i], device);
    if (o.kind == VEDETTE_NEURAL_DEVNET) SplitByTarget();
    MakeOptimizers();
  }

  void Epoch(int32_t epoch) {
    epoch_ = epoch;
    if (o_.kind == VEDETTE_NEURAL_DEVNET) return BalancedEpoch();
    std::vector<int64_t> rows(static_cast<size_t>(o_.rows));
    std::iota(rows.begin(), rows.end(), 0);
    Rng(o_.seed, 2 + static_cast<uint64_t>(epoch)).Shuffle(rows);
    const Tensor order = at::from_blob(rows.data(), {o_.rows}, at::kLong).to(device_);
    for (int64_t begin = 0; begin < o_.rows; begin += o_.batch_size) {
      AskStop();
      Batch(order.narrow(0, begin, std::min(o_.batch_size, o_.rows - begin)));
    }
  }

  bool Finite() const {
    return std::all_of(nets_.begin(), nets_.end(), [](const Chain& c) { return c.Finite(); });
  }
  void CopyOut() const {
    for (const Chain& c : nets_) c.CopyOut();
  }

 private:
  void AskStop() const {
    if (o_.stop != nullptr && o_.stop(o_.user) != 0) throw Failure(VEDETTE_NEURAL_CANCELLED, "stopped");
  }

  void MakeOptimizers() {
    std::vector<const Chain*> all, critics;
    for (const Chain& c : nets_) all.push_back(&c);
    const auto split = [&](std::vector<size_t> makers) {
      std::vector<const Chain*> made;
      for (size_t i = 0; i < nets_.size(); ++i) {
        (std::find(makers.begin(), makers.end(), i) != makers.end() ? made : critics).push_back(&nets_[i]);
      }
      optimizers_.emplace_back(critics, o_.learning_rate, o_.weight_decay);
      optimizers_.emplace_back(made, o_.learning_rate, o_.weight_decay);
    };
    if (o_.kind == VEDETTE_NEURAL_GAN) return split({0});
    if (o_.kind == VEDETTE_NEURAL_ALAD) return split({0, 1});
    if (o_.kind != VEDETTE_NEURAL_GAAL) return void(optimizers_.emplace_back(all, o_.learning_rate, o_.weight_decay));
    for (size_t i = 0; i < nets_.size(); ++i) {
      optimizers_.emplace_back(std::vector<const Chain*>{&nets_[i]}, i == 0 ? o_.learning_rate : o_.options[1],
                               o_.weight_decay, /*momentum=*/true);
    }
  }

  Tensor Normal(int64_t rows, int64_t width) {
    std::vector<float> v(static_cast<size_t>(rows * width));
    for (float& x : v) x = static_cast<float>(noise_.Normal());
    return at::from_blob(v.data(), {rows, width}, at::kFloat).to(device_, at::kFloat, false, /*copy=*/true);
  }
  Tensor Uniform(int64_t rows, int64_t width) {
    std::vector<float> v(static_cast<size_t>(rows * width));
    for (float& x : v) x = static_cast<float>(noise_.Uniform());
    return at::from_blob(v.data(), {rows, width}, at::kFloat).to(device_, at::kFloat, false, /*copy=*/true);
  }

  void Batch(const Tensor& rows) {
    const Tensor x = inputs_.index_select(0, rows);
    switch (o_.kind) {
      case VEDETTE_NEURAL_VAE: return optimizers_[0].Minimise(Variational(x));
      case VEDETTE_NEURAL_SVDD: return optimizers_[0].Minimise((nets_[0](x) - targets_).square().sum(1).mean());
      case VEDETTE_NEURAL_AE1SVM: return optimizers_[0].Minimise(OneClass(x));
      case VEDETTE_NEURAL_SQUARES:
        return optimizers_[0].Minimise((nets_[0](x).squeeze(1) - targets_.index_select(0, rows)).square().mean());
      case VEDETTE_NEURAL_LUNAR: return optimizers_[0].Minimise(Weighting(x, targets_.index_select(0, rows)));
      case VEDETTE_NEURAL_GAAL: return ActiveLearning(x);
      case VEDETTE_NEURAL_GAN: return Adversarial(x);
      default: return Bidirectional(x);
    }
  }

  /// Minus the evidence bound for a Gaussian of unit variance.
  Tensor Variational(const Tensor& x) {
    const Tensor code = nets_[0](x);
    const int64_t latent = code.size(1) / 2;
    const Tensor mean = code.narrow(1, 0, latent), log_variance = code.narrow(1, latent, latent).clamp(-20, 20);
    const Tensor z = mean + (log_variance * 0.5).exp() * Normal(x.size(0), latent);
    const Tensor divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1);
    return (0.5 * (nets_[1](z) - x).square().sum(1) + o_.options[0] * divergence).mean();
  }

  /// Reconstruction, and a one-class SVM on random Fourier features of the code.
  Tensor OneClass(const Tensor& x) {
    const Tensor code = nets_[0](x);
    const Tensor waves = nets_[2](code).cos() * std::sqrt(2.0 / static_cast<double>(nets_[2].first_weight().size(0)));
    const Tensor decision = nets_[3](waves);
    const Tensor margin = 0.5 * nets_[3].first_weight().square().sum() + at::relu(-decision).mean() / o_.options[1];
    return o_.options[0] * (nets_[1](code) - x).square().mean() + margin + nets_[3].first_bias().sum();
  }

  /// Generators aim at what the discriminator says of one part of the rows each (all of them at "real" when there is one).
  void ActiveLearning(const Tensor& x) {
    const auto makers = static_cast<int64_t>(nets_.size()) - 1;
    const int64_t each = std::max<int64_t>(1, x.size(0) / makers);
    std::vector<Tensor> made;
    const bool learning = epoch_ < o_.options[0];
    for (int64_t k = 0; k < makers; ++k) {
      const c10::AutoGradMode keep(learning);
      made.push_back(nets_[static_cast<size_t>(k + 1)](Uniform(each, x.size(1))));
    }
    const Tensor all = at::cat(made).detach();
    optimizers_[0].Minimise(Entropy(nets_[0](x), 1) + Entropy(nets_[0](all), 0));
    if (!learning) return;
    std::vector<double> aims(static_cast<size_t>(makers), 1.0);
    if (makers > 1) {
      const c10::NoGradGuard none;
      const Tensor sorted = std::get<0>(at::sigmoid(nets_[0](x)).squeeze(1).sort()).to(at::kCPU);
      for (int64_t k = 0; k < makers; ++k) aims[static_cast<size_t>(k)] = sorted[k * sorted.size(0) / makers].item<double>();
    }
    for (size_t k = 0; k < aims.size(); ++k) optimizers_[k + 1].Minimise(Entropy(nets_[0](made[k]), aims[k]));
  }

  void Adversarial(const Tensor& x) {
    if (o_.options[0] > 0 && ++steps_ > static_cast<int64_t>(o_.options[0])) return;
    const Tensor z = Normal(x.size(0), nets_[0].inputs());
    const auto judge = [&](const Tensor& rows) { return nets_[2](nets_[1](rows)); };
    const Tensor made = nets_[0](z);
    optimizers_[0].Minimise(PairEntropy(judge, x, made.detach(), 1));
    optimizers_[1].Minimise(Entropy(judge(made), 1));
  }

  /// Distances x weighed by the network; their weighted mean, stretched by e^w and shifted, should be the target.
  Tensor Weighting(const Tensor& x, const Tensor& target) {
    const Tensor mean = (at::softmax(nets_[0](x), 1) * x).sum(1);
    return (mean * nets_[1].first_weight().exp().squeeze() + nets_[1].first_bias() - target).square().mean();
  }

  void Bidirectional(const Tensor& x) {
    const Chain &encode = nets_[0], &make = nets_[1];
    const Tensor z = Normal(x.size(0), make.inputs());
    const Tensor code = encode(x), rows = make(z), again = make(code), code_again = encode(rows);
    const auto pair = [](const Tensor& a, const Tensor& b) { return at::cat({a, b}, 1); };
    const auto compare = [&](const Tensor& r) { return nets_[4](nets_[3](r)); };
    const auto loss = [&](const Tensor& c, const Tensor& r, const Tensor& a, const Tensor& ca, double real) {
      return PairEntropy(nets_[2], pair(x, c), pair(r, z), real) + PairEntropy(compare, pair(x, x), pair(x, a), real) +
             PairEntropy(nets_[5], pair(z, z), pair(z, ca), real);
    };
    optimizers_[0].Minimise(loss(code.detach(), rows.detach(), again.detach(), code_again.detach(), 1));
    optimizers_[1].Minimise(loss(code, rows, again, code_again, 0));  // the makers have not changed meanwhile
  }

  void SplitByTarget() {
    for (int64_t i = 0; i < o_.rows; ++i) (o_.targets[i] > 0 ? odd_ : rest_).push_back(i);
  }

  /// Half of each batch known anomalies, half other rows, both drawn with replacement (Pang et al. 2019).
  void BalancedEpoch() {
    const auto steps = static_cast<int64_t>(o_.options[1]);
    std::vector<int64_t> rows(static_cast<size_t>(o_.batch_size));
    for (int64_t s = 0; s < steps; ++s) {
      AskStop();
      for (size_t i = 0; i < rows.size(); ++i) {
        const std::vector<int64_t>& from = i % 2 == 0 ? rest_ : odd_;
        rows[i] = from[noise_.Below(from.size())];
      }
      const Tensor index = at::from_blob(rows.data(), {o_.batch_size}, at::kLong).to(device_);
      const Tensor y = targets_.index_select(0, index), score = nets_[0](inputs_.index_select(0, index)).squeeze(1);
      optimizers_[0].Minimise(((1 - y) * score.abs() + y * at::relu(o_.options[0] - score)).mean());
    }
  }

  const VedetteNeuralObjective& o_;
  at::Device device_;
  Rng noise_;
  int32_t epoch_ = 0;
  int64_t steps_ = 0;
  Tensor inputs_, targets_;
  std::vector<Chain> nets_;
  std::vector<Optimizer> optimizers_;
  std::vector<int64_t> odd_, rest_;
};

void Validate(const VedetteNeuralObjective& o) {
  const auto require = [](bool good, const char* what) {
    if (!good) throw Failure(VEDETTE_NEURAL_INVALID_ARGUMENT, what);
  };
  constexpr int32_t kNetworks[] = {2, 1, 4, 1, 1, 2, 3, 6, 2};
  require(o.kind >= VEDETTE_NEURAL_VAE && o.kind <= VEDETTE_NEURAL_LUNAR, "unknown objective");
  require(o.networks != nullptr && o.inputs != nullptr, "a required pointer is null");
  const bool enough = o.kind == VEDETTE_NEURAL_GAAL ? o.network_count >= 2 : o.network_count == kNetworks[o.kind];
  require(enough, "the objective takes another number of networks");
  require(o.rows >= 1 && o.width >= 1 && o.batch_size >= 1 && o.epochs >= 1, "rows, width, batch_size and epochs must be at least 1");
  require(o.learning_rate > 0 && std::isfinite(o.learning_rate), "learning_rate must be positive");
  for (int32_t i = 0; i < o.network_count; ++i) {
    const VedetteNeuralNetwork& n = o.networks[i];
    require(n.sizes != nullptr && n.parameters != nullptr && n.size_count >= 2, "a network needs sizes and parameters");
    int64_t count = 0;
    for (int32_t l = 0; l + 1 < n.size_count; ++l) {
      require(n.sizes[l] >= 1 && n.sizes[l + 1] >= 1, "every size must be at least 1");
      count += (static_cast<int64_t>(n.sizes[l]) + 1) * n.sizes[l + 1];
    }
    require(count == n.parameter_count, "parameter_count does not fit the sizes");
  }
  const auto outputs = [&](int32_t i) { return o.networks[i].sizes[o.networks[i].size_count - 1]; };
  const bool by_row = o.kind == VEDETTE_NEURAL_SQUARES || o.kind == VEDETTE_NEURAL_DEVNET || o.kind == VEDETTE_NEURAL_LUNAR;
  if (by_row) require(o.targets != nullptr && o.target_count == o.rows, "targets must be one a row");
  if (o.kind == VEDETTE_NEURAL_SVDD) require(o.targets != nullptr && o.target_count == outputs(0), "targets must be the centre");
  if (o.kind == VEDETTE_NEURAL_DEVNET) {
    const auto odd = std::count_if(o.targets, o.targets + o.rows, [](float y) { return y > 0; });
    require(odd > 0 && odd < o.rows, "there must be anomalies and other rows");
  }
}

}  // namespace

void LearnObjective(const VedetteNeuralObjective& o, VedetteNeuralResult& result) {
  Validate(o);
  const c10::AutoGradMode gradients(true);
  at::set_num_threads(1);  // OpenMP keeps this per thread
  const FlushDenormals flush;
  const at::Device device = ChooseDevice(o.device_kind, o.device_index);
  result.device = {device.is_cuda() ? VEDETTE_NEURAL_CUDA : VEDETTE_NEURAL_CPU, device.is_cuda() ? device.index() : 0};
  Learner learner(o, device);
  for (int32_t epoch = 0; epoch < o.epochs; ++epoch) {
    learner.Epoch(epoch);
    if (!learner.Finite()) {
      throw Failure(VEDETTE_NEURAL_INVALID_ARGUMENT, "training diverged in epoch " + std::to_string(epoch + 1) +
                                                         " (a weight is not finite): try a lower learning_rate");
    }
    result.epochs = epoch + 1;
    if (o.progress != nullptr) o.progress(o.user, static_cast<double>(result.epochs) / o.epochs);
  }
  const c10::NoGradGuard none;
  learner.CopyOut();
}

}  // namespace vedette::neural
