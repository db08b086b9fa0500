// Back-propagation is written out (a dense chain needs four lines a layer) over one flat parameter vector: small batches are
// bound by the number of ATen calls, and this takes a third of what autograd and torch::optim::Adam take. It also needs
// ATen's headers alone, which halves the compile time.
#include "neural/module/dense_trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "neural/module/adam.h"
#include "neural/module/device.h"

namespace vedette::neural {
namespace {

constexpr int64_t kValidationBlock = 1024;  // rows

struct Layer {
  at::Tensor weight, bias;                    // views of the parameters: [out, in], [out]
  at::Tensor weight_gradient, bias_gradient;  // views of the gradient
};

class Network {
 public:
  Network(const VedetteNeuralTraining& t, at::Device device) {
    const at::Tensor start = at::from_blob(t.parameters, {t.parameter_count}, at::kFloat);
    parameters_ = start.to(device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    gradient_ = at::zeros_like(parameters_);
    int64_t offset = 0;
    const auto take = [&offset](const at::Tensor& flat, int64_t count) { return flat.narrow(0, offset, count); };
    for (int32_t l = 0; l + 1 < t.size_count; ++l) {
      const int64_t in = t.sizes[l], out = t.sizes[l + 1];
      Layer layer;
      layer.weight = take(parameters_, in * out).view({out, in});
      layer.weight_gradient = take(gradient_, in * out).view({out, in});
      offset += in * out;
      layer.bias = take(parameters_, out);
      layer.bias_gradient = take(gradient_, out);
      offset += out;
      layers_.push_back(layer);
    }
  }

  at::Tensor& parameters() { return parameters_; }
  const at::Tensor& gradient() const { return gradient_; }

  /// Output minus input for a batch [rows, features]; keeps what Backward needs.
  at::Tensor Forward(const at::Tensor& batch) {
    inputs_.assign(1, batch);
    for (size_t l = 0; l < layers_.size(); ++l) {
      at::Tensor out = at::addmm(layers_[l].bias, inputs_.back(), layers_[l].weight.t());
      if (l + 1 < layers_.size()) out.relu_();
      inputs_.push_back(std::move(out));
    }
    at::Tensor difference = std::move(inputs_.back());
    inputs_.pop_back();
    return difference.sub_(batch);
  }

  /// Fills gradient() with that of mean(difference^2).
  void Backward(const at::Tensor& difference) {
    at::Tensor delta = difference * (2.0 / static_cast<double>(difference.numel()));
    for (size_t l = layers_.size(); l-- > 0;) {
      at::mm_out(layers_[l].weight_gradient, delta.t(), inputs_[l]);
      at::sum_out(layers_[l].bias_gradient, delta, {0});
      if (l > 0) delta = at::threshold_backward(at::mm(delta, layers_[l].weight), inputs_[l], 0);
    }
  }

 private:
  at::Tensor parameters_, gradient_;
  std::vector<Layer> layers_;
  std::vector<at::Tensor> inputs_;  // of each layer, of the last Forward
};

void Validate(const VedetteNeuralTraining& t) {
  const auto require = [](bool good, const char* what) {
    if (!good) throw Failure(VEDETTE_NEURAL_INVALID_ARGUMENT, what);
  };
  require(t.sizes != nullptr && t.inputs != nullptr && t.parameters != nullptr, "a required pointer is null");
  require(t.size_count >= 2, "a network needs at least two sizes");
  require(t.sizes[0] == t.sizes[t.size_count - 1], "the output must be as wide as the input");
  int64_t parameters = 0;
  for (int32_t l = 0; l < t.size_count; ++l) {
    require(t.sizes[l] >= 1, "every size must be at least 1");
    if (l > 0) parameters += (static_cast<int64_t>(t.sizes[l - 1]) + 1) * t.sizes[l];
  }
  require(parameters == t.parameter_count, "parameter_count does not fit the sizes");
  require(t.training_rows >= 1 && t.validation_rows >= 0, "training_rows must be at least 1, validation_rows not negative");
  require(t.batch_size >= 1 && t.epochs >= 1 && t.patience >= 0, "batch_size and epochs must be at least 1, patience not negative");
  require(t.learning_rate > 0 && std::isfinite(t.learning_rate), "learning_rate must be positive");
}

/// One pass over the training rows; returns the mean loss.
double RunEpoch(const VedetteNeuralTraining& t, int32_t epoch, const at::Tensor& inputs, Network& network, Adam& adam) {
  std::vector<int64_t> rows(static_cast<size_t>(t.training_rows));
  std::iota(rows.begin(), rows.end(), 0);
  Rng(t.seed, 2 + static_cast<uint64_t>(epoch)).Shuffle(rows);
  const at::Tensor order = at::from_blob(rows.data(), {t.training_rows}, at::kLong).to(inputs.device());
  at::Tensor sum = at::zeros({}, inputs.options().dtype(at::kDouble));  // read once an epoch: reading waits for the device
  for (int64_t begin = 0; begin < t.training_rows; begin += t.batch_size) {
    if (t.stop != nullptr && t.stop(t.user) != 0) throw Failure(VEDETTE_NEURAL_CANCELLED, "stopped");
    const int64_t count = std::min(t.batch_size, t.training_rows - begin);
    const at::Tensor difference = network.Forward(inputs.index_select(0, order.narrow(0, begin, count)));
    sum.add_(difference.square().sum());
    network.Backward(difference);
    adam.Step(network.parameters(), network.gradient());
  }
  return sum.item<double>() / (static_cast<double>(t.training_rows) * t.sizes[0]);
}

double ValidationLoss(const VedetteNeuralTraining& t, const at::Tensor& inputs, Network& network) {
  double sum = 0;
  for (int64_t begin = 0; begin < t.validation_rows; begin += kValidationBlock) {
    if (t.stop != nullptr && t.stop(t.user) != 0) throw Failure(VEDETTE_NEURAL_CANCELLED, "stopped");
    const int64_t count = std::min(kValidationBlock, t.validation_rows - begin);
    sum += network.Forward(inputs.narrow(0, t.training_rows + begin, count)).square().sum().item<double>();
  }
  return sum / (static_cast<double>(t.validation_rows) * t.sizes[0]);
}

}  // namespace

void TrainDense(const VedetteNeuralTraining& t, VedetteNeuralResult& result) {
  Validate(t);
  const c10::InferenceMode no_autograd;
  at::set_num_threads(1);  // OpenMP keeps this per thread
  const FlushDenormals flush;
  const at::Device device = ChooseDevice(t.device_kind, t.device_index);
  result.device = {device.is_cuda() ? VEDETTE_NEURAL_CUDA : VEDETTE_NEURAL_CPU, device.is_cuda() ? device.index() : 0};

  // On the CPU this is a view of the caller's buffer, which is only read.
  const at::Tensor inputs =
      at::from_blob(const_cast<float*>(t.inputs), {t.training_rows + t.validation_rows, t.sizes[0]}, at::kFloat).to(device);
  Network network(t, device);
  Adam adam(network.parameters(), t.learning_rate);

  at::Tensor best;
  double best_loss = std::numeric_limits<double>::infinity();
  result.validation_loss = std::numeric_limits<double>::quiet_NaN();
  for (int32_t epoch = 0; epoch < t.epochs; ++epoch) {
    const double loss = RunEpoch(t, epoch, inputs, network, adam);
    const bool validates = t.validation_rows > 0;
    const double watched = validates ? ValidationLoss(t, inputs, network) : loss;
    if (!std::isfinite(loss) || !std::isfinite(watched)) {
      throw Failure(VEDETTE_NEURAL_INVALID_ARGUMENT, "training diverged in epoch " + std::to_string(epoch + 1) +
                                                         " (the loss is not finite): try a lower learning_rate");
    }
    if (t.training_losses != nullptr) t.training_losses[epoch] = loss;
    if (t.validation_losses != nullptr) t.validation_losses[epoch] = validates ? watched : result.validation_loss;
    result.epochs = epoch + 1;
    if (!validates || watched < best_loss) {
      best_loss = watched;
      result.best_epoch = epoch;
      result.training_loss = loss;
      if (validates) {
        result.validation_loss = watched;
        best = network.parameters().clone();
      }
    }
    if (t.progress != nullptr) t.progress(t.user, static_cast<double>(epoch + 1) / t.epochs);
    if (validates && t.patience > 0 && epoch - result.best_epoch >= t.patience) break;
  }
  const at::Tensor kept = best.defined() ? best : network.parameters();
  at::from_blob(t.parameters, {t.parameter_count}, at::kFloat).copy_(kept);
}

}  // namespace vedette::neural
