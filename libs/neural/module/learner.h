// The loop for all objectives: batches in an order drawn by seed, noise from our own generator (so that it does not
// depend on the device). Objectives differ in their loss alone; adversarial ones have two, minimised in turn. `Backend`
// says what a tensor is: AtenBackend's, or HostBackend's (networks as small as these take a third of the time there).
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "neural/module/abi.h"
#include "neural/module/chain.h"
#include "neural/module/dense_trainer.h"

namespace vedette::neural {

constexpr uint64_t kNoiseStream = 1;

/// Cross entropy of logits with "is real" (1), "is made" (0), or something between.
template <typename Tensor>
Tensor Entropy(const Tensor& logits, double target) {
  if (target == 0) return softplus(logits).mean();
  if (target == 1) return softplus(-logits).mean();
  return (softplus(logits) - logits * target).mean();
}

/// Cross entropies of the judgements of `real` and `made` (the same number of rows) with `target` and 1 - `target`,
/// summed, in one pass through the network. `target` is 0 or 1.
template <typename Judge, typename Tensor>
Tensor PairEntropy(const Judge& judge, const Tensor& real, const Tensor& made, double target) {
  const Tensor logits = judge(cat(std::vector<Tensor>{real, made}, 0));
  const int64_t rows = real.size(0);
  const Tensor of_real = logits.narrow(0, 0, rows), of_made = logits.narrow(0, rows, rows);
  const Tensor wrong =
      target > 0 ? cat(std::vector<Tensor>{-of_real, of_made}, 0) : cat(std::vector<Tensor>{of_real, -of_made}, 0);
  return softplus(wrong).mean() * 2.0;
}

template <typename Backend>
class Learner {
 public:
  using Tensor = typename Backend::Tensor;

  Learner(const VedetteNeuralObjective& o, Backend& backend) : o_(o), backend_(backend), noise_(o.seed, kNoiseStream) {
    inputs_ = backend.Data(o.inputs, o.rows, o.width);
    if (o.targets != nullptr && o.kind != VEDETTE_NEURAL_SVDD) targets_ = backend.Data(o.targets, o.target_count, 1);
    for (int32_t i = 0; i < o.network_count; ++i) nets_.emplace_back(o.networks[i], backend);
    if (o.kind == VEDETTE_NEURAL_DEVNET) SplitByTarget();
    MakeOptimizers();
  }

  void Epoch(int32_t epoch) {
    epoch_ = epoch;
    if (o_.kind == VEDETTE_NEURAL_DEVNET) return BalancedEpoch();
    std::vector<int64_t> rows(static_cast<size_t>(o_.rows));
    std::iota(rows.begin(), rows.end(), 0);
    Rng(o_.seed, 2 + static_cast<uint64_t>(epoch)).Shuffle(rows);
    const auto order = backend_.Order(rows);
    for (int64_t begin = 0; begin < o_.rows; begin += o_.batch_size) {
      AskStop();
      const int64_t count = std::min(o_.batch_size, o_.rows - begin);
      const Tensor x = backend_.Rows(inputs_, order, begin, count);
      if (o_.kind == VEDETTE_NEURAL_SVDD) {
        Batch(x, backend_.Constant(o_.targets, 1, o_.target_count));
      } else {
        Batch(x, o_.targets != nullptr ? backend_.Rows(targets_, order, begin, count) : x);
      }
      backend_.EndStep();
    }
  }

  bool Finite() const {
    return std::all_of(nets_.begin(), nets_.end(), [](const auto& c) { return c.Finite(); });
  }
  void CopyOut() const {
    for (const auto& c : nets_) c.CopyOut();
  }

 private:
  void AskStop() const {
    if (o_.stop != nullptr && o_.stop(o_.user) != 0) throw Failure(VEDETTE_NEURAL_CANCELLED, "stopped");
  }

  void MakeOptimizers() {
    std::vector<const Chain<Backend>*> all, critics;
    for (const auto& c : nets_) all.push_back(&c);
    const auto split = [&](std::vector<size_t> makers) {
      std::vector<const Chain<Backend>*> made;
      for (size_t i = 0; i < nets_.size(); ++i) {
        (std::find(makers.begin(), makers.end(), i) != makers.end() ? made : critics).push_back(&nets_[i]);
      }
      optimizers_.emplace_back(critics, backend_, o_.learning_rate, o_.weight_decay);
      optimizers_.emplace_back(made, backend_, o_.learning_rate, o_.weight_decay);
    };
    if (o_.kind == VEDETTE_NEURAL_GAN) return split({0});
    if (o_.kind == VEDETTE_NEURAL_ALAD) return split({0, 1});
    if (o_.kind != VEDETTE_NEURAL_GAAL)
      return void(optimizers_.emplace_back(all, backend_, o_.learning_rate, o_.weight_decay));
    for (size_t i = 0; i < nets_.size(); ++i) {
      optimizers_.emplace_back(std::vector<const Chain<Backend>*>{&nets_[i]}, backend_,
                               i == 0 ? o_.learning_rate : o_.options[1], o_.weight_decay, /*momentum=*/true);
    }
  }

  Tensor Normal(int64_t rows, int64_t width) {
    values_.resize(static_cast<size_t>(rows * width));
    for (float& x : values_) x = static_cast<float>(noise_.Normal());
    return backend_.Constant(values_.data(), rows, width);
  }
  Tensor Uniform(int64_t rows, int64_t width) {
    values_.resize(static_cast<size_t>(rows * width));
    for (float& x : values_) x = static_cast<float>(noise_.Uniform());
    return backend_.Constant(values_.data(), rows, width);
  }

  /// `targets`: of these rows; for SVDD the centre; x where there are none.
  void Batch(const Tensor& x, const Tensor& targets) {
    switch (o_.kind) {
      case VEDETTE_NEURAL_VAE:
        return optimizers_[0].Minimise(Variational(x));
      case VEDETTE_NEURAL_SVDD:
        return optimizers_[0].Minimise(RowSums((nets_[0](x) - targets).square()).mean());
      case VEDETTE_NEURAL_AE1SVM:
        return optimizers_[0].Minimise(OneClass(x));
      case VEDETTE_NEURAL_SQUARES:
        return optimizers_[0].Minimise((nets_[0](x) - targets).square().mean());
      case VEDETTE_NEURAL_LUNAR:
        return optimizers_[0].Minimise(Weighting(x, targets));
      case VEDETTE_NEURAL_GAAL:
        return ActiveLearning(x);
      case VEDETTE_NEURAL_GAN:
        return Adversarial(x);
      default:
        return Bidirectional(x);
    }
  }

  /// Minus the evidence bound for a Gaussian of unit variance.
  Tensor Variational(const Tensor& x) {
    const Tensor code = nets_[0](x);
    const int64_t latent = code.size(1) / 2;
    const Tensor mean = code.narrow(1, 0, latent), log_variance = Clamp(code.narrow(1, latent, latent), 20);
    const Tensor z = mean + (log_variance * 0.5).exp() * Normal(x.size(0), latent);
    const Tensor divergence = RowSums(mean.square() + log_variance.exp() - log_variance - 1.0) * 0.5;
    return (RowSums((nets_[1](z) - x).square()) * 0.5 + divergence * o_.options[0]).mean();
  }

  /// Reconstruction, and a one-class SVM on random Fourier features of the code.
  Tensor OneClass(const Tensor& x) {
    const Tensor code = nets_[0](x);
    const Tensor waves = nets_[2](code).cos() * std::sqrt(2.0 / static_cast<double>(nets_[2].outputs()));
    const Tensor decision = nets_[3](waves);
    const Tensor margin = nets_[3].first_weight().square().sum() * 0.5 + relu(-decision).mean() * (1 / o_.options[1]);
    return (nets_[1](code) - x).square().mean() * o_.options[0] + margin + nets_[3].first_bias().sum();
  }

  /// Generators aim at what the discriminator says of one part of the rows each (all of them at "real" when there is
  /// one).
  void ActiveLearning(const Tensor& x) {
    const auto makers = static_cast<int64_t>(nets_.size()) - 1;
    const int64_t each = std::max<int64_t>(1, x.size(0) / makers);
    std::vector<Tensor> made;
    const bool learning = epoch_ < o_.options[0];
    for (int64_t k = 0; k < makers; ++k) {
      const typename Backend::Recording keep(learning);
      made.push_back(nets_[static_cast<size_t>(k + 1)](Uniform(each, x.size(1))));
    }
    const Tensor all = cat(made, 0).detach();
    optimizers_[0].Minimise(Entropy(nets_[0](x), 1) + Entropy(nets_[0](all), 0));
    if (!learning) return;
    std::vector<double> aims(static_cast<size_t>(makers), 1.0);
    if (makers > 1) {
      const typename Backend::Recording none(false);
      std::vector<float> judged = Backend::Column(sigmoid(nets_[0](x)));
      std::sort(judged.begin(), judged.end());
      for (size_t k = 0; k < aims.size(); ++k) aims[k] = static_cast<double>(judged[k * judged.size() / aims.size()]);
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
    const Tensor mean = RowSums(RowSoftmax(nets_[0](x)) * x);
    return (mean * nets_[1].first_weight().exp() + nets_[1].first_bias() - target).square().mean();
  }

  /// The learning rate falls in a straight line, so that the makers and their critics settle in fewer steps.
  void Bidirectional(const Tensor& x) {
    const double total = o_.options[0] > 0
                             ? o_.options[0]
                             : o_.epochs * std::ceil(static_cast<double>(o_.rows) / static_cast<double>(o_.batch_size));
    if (static_cast<double>(steps_) >= total) return;
    const double share = o_.options[1] > 0 ? 1 - (1 - o_.options[1]) * static_cast<double>(steps_) / total : 1;
    ++steps_;
    const Chain<Backend>&encode = nets_[0], &make = nets_[1];
    const Tensor z = Normal(x.size(0), make.inputs());
    const Tensor code = encode(x), rows = make(z), again = make(code), code_again = encode(rows);
    const auto pair = [](const Tensor& a, const Tensor& b) { return cat(std::vector<Tensor>{a, b}, 1); };
    const auto compare = [&](const Tensor& r) { return nets_[4](nets_[3](r)); };
    const auto loss = [&](const Tensor& c, const Tensor& r, const Tensor& a, const Tensor& ca, double real) {
      return PairEntropy(nets_[2], pair(x, c), pair(r, z), real) + PairEntropy(compare, pair(x, x), pair(x, a), real) +
             PairEntropy(nets_[5], pair(z, z), pair(z, ca), real);
    };
    optimizers_[0].Minimise(loss(code.detach(), rows.detach(), again.detach(), code_again.detach(), 1), share);
    optimizers_[1].Minimise(loss(code, rows, again, code_again, 0), share);  // the makers have not changed meanwhile
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
      const auto order = backend_.Order(rows);
      const Tensor y = backend_.Rows(targets_, order, 0, o_.batch_size);
      const Tensor score = nets_[0](backend_.Rows(inputs_, order, 0, o_.batch_size));
      optimizers_[0].Minimise(((1.0 - y) * score.abs() + y * relu(o_.options[0] - score)).mean());
      backend_.EndStep();
    }
  }

  const VedetteNeuralObjective& o_;
  Backend& backend_;
  Rng noise_;
  int32_t epoch_ = 0;
  int64_t steps_ = 0;
  typename Backend::Table inputs_, targets_;
  std::vector<Chain<Backend>> nets_;
  std::vector<Optimizer<Backend>> optimizers_;
  std::vector<int64_t> odd_, rest_;
  std::vector<float> values_;  // of noise, on their way
};

}  // namespace vedette::neural
