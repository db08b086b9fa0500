// Training by our own tensors against training by ATen's automatic differentiation, objective by objective, and the
// pieces of ours against plain loops. Links Torch, so it is a program of its own.
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "neural/lanes.h"
#include "neural/module/host_tensor.h"
#include "neural/module/objective_trainer.h"

namespace vedette::neural {
namespace {

struct Net {
  std::vector<int32_t> sizes;
  int32_t hidden = VEDETTE_NEURAL_RELU, output = VEDETTE_NEURAL_LINEAR, use_bias = 1, fixed = 0;
};

/// An objective on random rows, and what its networks are after it was learnt.
struct Task {
  int32_t kind;
  std::vector<Net> nets;
  int64_t width;
  std::vector<double> options = {};
  enum { kNone, kCentre, kHalves } targets = kNone;
  double rate = 1e-3, decay = 0;
  int64_t rows = 45, batch = 16;  // the last batch is smaller
  int32_t epochs = 4;

  std::vector<std::vector<float>> Learn(bool by_aten) const {
    Rng rng(9);
    std::vector<float> inputs, target;
    for (int64_t i = 0; i < rows * width; ++i) inputs.push_back(static_cast<float>(rng.Normal()));
    if (kind == VEDETTE_NEURAL_LUNAR) {
      for (float& v : inputs) v = std::fabs(v);
    }
    for (int64_t i = 0; targets == kHalves && i < rows; ++i) target.push_back(static_cast<float>(i % 3 == 0));
    for (int32_t i = 0; targets == kCentre && i < nets[0].sizes.back(); ++i)
      target.push_back(0.1f * static_cast<float>(i));
    std::vector<std::vector<float>> parameters;
    std::vector<VedetteNeuralNetwork> networks;
    for (const Net& n : nets) {
      parameters.emplace_back();
      for (size_t l = 1; l < n.sizes.size(); ++l) {
        const double bound = 1 / std::sqrt(n.sizes[l - 1]);
        for (int32_t i = 0; i < (n.sizes[l - 1] + 1) * n.sizes[l]; ++i) {
          parameters.back().push_back(static_cast<float>(rng.Uniform(-bound, bound)));
        }
      }
    }
    for (size_t i = 0; i < nets.size(); ++i) {
      const Net& n = nets[i];
      networks.push_back({n.sizes.data(), static_cast<int32_t>(n.sizes.size()), n.hidden, n.output, n.use_bias, n.fixed,
                          parameters[i].data(), static_cast<int64_t>(parameters[i].size())});
    }
    VedetteNeuralObjective o = {};
    o.struct_size = sizeof o;
    o.device_kind = VEDETTE_NEURAL_CPU;
    o.kind = kind;
    o.networks = networks.data();
    o.network_count = static_cast<int32_t>(networks.size());
    o.epochs = epochs;
    o.inputs = inputs.data();
    o.rows = rows, o.width = width;
    o.targets = target.empty() ? nullptr : target.data();
    o.target_count = static_cast<int64_t>(target.size());
    o.batch_size = batch;
    o.learning_rate = rate, o.weight_decay = decay;
    std::copy(options.begin(), options.end(), o.options);
    o.seed = 4;
    VedetteNeuralResult result = {};
    result.struct_size = sizeof result;
    LearnObjective(o, result, by_aten);
    return parameters;
  }
};

TEST_CASE("every objective is learnt the same way by our tensors as by ATen's") {
  constexpr int32_t kTanh = VEDETTE_NEURAL_TANH, kSigmoid = VEDETTE_NEURAL_SIGMOID;
  const std::vector<Task> tasks = {
      {VEDETTE_NEURAL_VAE, {{{5, 12, 9, 4}}, {{2, 9, 12, 5}}}, 5, {0.7}},
      {VEDETTE_NEURAL_SVDD,
       {{{5, 13, 6}, VEDETTE_NEURAL_RELU, VEDETTE_NEURAL_LINEAR, 0}},
       5,
       {},
       Task::kCentre,
       1e-3,
       0.01},
      {VEDETTE_NEURAL_AE1SVM, {{{5, 12, 6}}, {{6, 12, 5}}, {{6, 50}, 0, 0, 1, 1}, {{50, 1}}}, 5, {0.8, 0.3}},
      {VEDETTE_NEURAL_SQUARES, {{{5, 12, 1}, kSigmoid}}, 5, {}, Task::kHalves},
      {VEDETTE_NEURAL_DEVNET, {{{5, 20, 1}}}, 5, {5, 3}, Task::kHalves, 1e-3, 0.01},
      {VEDETTE_NEURAL_GAAL, {{{5, 12, 1}}, {{5, 5, 5}}}, 5, {2, 0.05}, Task::kNone, 0.01},
      {VEDETTE_NEURAL_GAAL, {{{5, 12, 1}}, {{5, 5, 5}}, {{5, 5, 5}}, {{5, 5, 5}}}, 5, {3, 0.05}, Task::kNone, 0.01},
      {VEDETTE_NEURAL_GAN, {{{3, 9, 5}, kTanh}, {{5, 9, 7}, kTanh, kTanh}, {{7, 1}, kTanh}}, 5, {10}},
      {VEDETTE_NEURAL_ALAD,
       {{{5, 12, 7, 3}},
        {{3, 7, 12, 5}},
        {{8, 12, 7, 1}},
        {{10, 12, 7}, VEDETTE_NEURAL_RELU, VEDETTE_NEURAL_RELU},
        {{7, 1}},
        {{6, 7, 1}}},
       5,
       {11, 0.1}},
      {VEDETTE_NEURAL_LUNAR, {{{7, 12, 7}}, {{1, 1}}}, 7, {}, Task::kHalves, 1e-3, 0.01},
  };
  for (const Task& task : tasks) {
    const auto ours = task.Learn(false), theirs = task.Learn(true);
    for (size_t n = 0; n < ours.size(); ++n) {
      CAPTURE(task.kind, task.nets.size(), n);
      double worst = 0, moved = 0;
      Task none = task;
      none.rate = 1e-30;
      const auto start = none.Learn(false);
      for (size_t i = 0; i < ours[n].size(); ++i) {
        worst = std::max(worst, std::fabs(static_cast<double>(ours[n][i]) - theirs[n][i]));
        moved = std::max(moved, std::fabs(static_cast<double>(ours[n][i]) - start[n][i]));
      }
      CHECK(worst < 1e-5);
      if (task.nets[n].fixed == 0) CHECK(moved > 1e-4);
      if (task.nets[n].fixed == 1) CHECK(moved == 0);
    }
  }
}

TEST_CASE("an autoencoder is learnt the same way by our tensors as by ATen's, and stops in the same epoch") {
  const std::vector<int32_t> sizes = {6, 13, 4, 13, 6};
  std::vector<float> results[2];
  VedetteNeuralResult ended[2] = {};
  for (int by_aten = 0; by_aten < 2; ++by_aten) {
    Rng rng(3);
    std::vector<float> inputs, &parameters = results[by_aten];
    for (int i = 0; i < 50 * 6; ++i) inputs.push_back(static_cast<float>(rng.Normal()));
    for (size_t l = 1; l < sizes.size(); ++l) {
      for (int i = 0; i < (sizes[l - 1] + 1) * sizes[l]; ++i) {
        parameters.push_back(static_cast<float>(rng.Uniform(-1, 1) / std::sqrt(sizes[l - 1])));
      }
    }
    VedetteNeuralTraining t = {};
    t.struct_size = sizeof t;
    t.device_kind = VEDETTE_NEURAL_CPU;
    t.size_count = 5, t.sizes = sizes.data();
    t.inputs = inputs.data(), t.training_rows = 37, t.validation_rows = 13;
    t.batch_size = 8, t.epochs = 12, t.patience = 3, t.learning_rate = 1e-3, t.seed = 5;
    t.parameters = parameters.data(), t.parameter_count = static_cast<int64_t>(parameters.size());
    ended[by_aten].struct_size = sizeof ended[by_aten];
    TrainDense(t, ended[by_aten], by_aten == 1);
  }
  double worst = 0;
  for (size_t i = 0; i < results[0].size(); ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(results[0][i]) - results[1][i]));
  }
  CHECK(worst < 1e-5);
  CHECK(ended[0].epochs == ended[1].epochs);
  CHECK(ended[0].best_epoch == ended[1].best_epoch);
  CHECK(ended[0].training_loss == Approx(ended[1].training_loss).epsilon(1e-5));
  CHECK(ended[0].validation_loss == Approx(ended[1].validation_loss).epsilon(1e-5));
}

TEST_CASE("a training repeats to the bit") {
  const Task task = {VEDETTE_NEURAL_VAE, {{{5, 12, 9, 4}}, {{2, 9, 12, 5}}}, 5, {0.7}};
  CHECK(task.Learn(false) == task.Learn(false));
}

TEST_CASE("products of matrices of any shape are those of plain loops") {
  Rng rng(2);
  host::Tape tape;
  for (const int64_t rows : {1, 2, 3, 4, 7, 9}) {
    for (const int64_t inner : {1, 5, 33}) {
      for (const int64_t cols : {1, 8, 9, 16, 24, 31, 32, 40, 56, 65}) {
        const host::Tensor a = tape.New(rows, inner), b = tape.New(inner, cols), c = tape.New(rows, cols);
        for (const host::Tensor& t : {a, b, c}) {
          for (int64_t i = 0; i < t->rows; ++i) {
            for (int64_t j = 0; j < t->cols; ++j) t->value[i * t->stride + j] = static_cast<float>(rng.Normal());
          }
        }
        const std::vector<float> before(c->value, c->value + c->size());
        const host::Product product = {rows,     inner,     c->stride, a->value,  a->stride, 1,
                                       b->value, b->stride, c->value,  c->stride, nullptr,   true};
        host::MultiplyAnywhere(product);
        const std::vector<float> anywhere(c->value, c->value + c->size());
        std::copy(before.begin(), before.end(), c->value);
        host::Multiply(product);  // on this processor
        CHECK(anywhere == std::vector<float>(c->value, c->value + c->size()));
        double worst = 0;
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < cols; ++j) {
            double sum = static_cast<double>(before[static_cast<size_t>(i * c->stride + j)]);
            for (int64_t k = 0; k < inner; ++k)
              sum += static_cast<double>(a.at(i, k)) * static_cast<double>(b.at(k, j));
            worst = std::max(worst, std::fabs(sum - static_cast<double>(c.at(i, j))));
          }
        }
        CAPTURE(rows, inner, cols);
        CHECK(worst < 2e-5);
      }
    }
  }
}

TEST_CASE("sine and cosine are within 3e-7, and bounded where float32 no longer tells the phase") {
  double worst = 0;
  for (int i = -200000; i <= 200000; i += 7) {
    const float x = static_cast<float>(i) * 1e-3f;
    const Lanes all = Lanes{} + x;
    worst = std::max(worst, std::fabs(static_cast<double>(Sine(all)[3]) - std::sin(static_cast<double>(x))));
    worst = std::max(worst, std::fabs(static_cast<double>(Cosine(all)[3]) - std::cos(static_cast<double>(x))));
  }
  CHECK(worst < 3e-7);
  for (const float x : {1e6f, -3e7f, 1e20f, 3e38f}) {
    CHECK(std::fabs(Sine(Lanes{} + x)[0]) <= 1.1f);
    CHECK(std::fabs(Cosine(Lanes{} + x)[0]) <= 1.1f);
  }
}

TEST_CASE("the logarithm of 1 + x is within 2e-7") {
  double worst = 0;
  for (int i = 0; i <= 10000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    worst = std::max(worst,
                     std::fabs(static_cast<double>(LogOfOnePlus(Lanes{} + x)[5]) - std::log1p(static_cast<double>(x))));
  }
  CHECK(worst < 2e-7);
}

}  // namespace
}  // namespace vedette::neural
