// One loop for every backend: batches in an order drawn by seed, early stop on the held-out rows, the best weights
// kept.
#include "neural/module/dense_trainer.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "neural/module/aten_backend.h"
#include "neural/module/chain.h"
#include "neural/module/device.h"
#include "neural/module/host_backend.h"

namespace vedette::neural {
namespace {

constexpr int64_t kValidationBlock = 1024;  // rows

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
  require(t.training_rows >= 1 && t.validation_rows >= 0,
          "training_rows must be at least 1, validation_rows not negative");
  require(t.batch_size >= 1 && t.epochs >= 1 && t.patience >= 0,
          "batch_size and epochs must be at least 1, patience not negative");
  require(t.learning_rate > 0 && std::isfinite(t.learning_rate), "learning_rate must be positive");
}

template <typename Backend>
class Trainer {
 public:
  Trainer(const VedetteNeuralTraining& t, Backend& backend)
      : t_(t),
        backend_(backend),
        parameters_(t.parameters, t.parameters + t.parameter_count),
        inputs_(backend.Data(t.inputs, t.training_rows + t.validation_rows, t.sizes[0])),
        network_({t.sizes, t.size_count, VEDETTE_NEURAL_RELU, VEDETTE_NEURAL_LINEAR, 1, 0, parameters_.data(),
                  t.parameter_count},
                 backend),
        adam_({&network_}, backend, t.learning_rate, 0) {}

  /// One pass over the training rows; returns the mean loss, while the weights moved.
  double Epoch(int32_t epoch) {
    std::vector<int64_t> rows(static_cast<size_t>(t_.training_rows));
    std::iota(rows.begin(), rows.end(), 0);
    Rng(t_.seed, 2 + static_cast<uint64_t>(epoch)).Shuffle(rows);
    return Pass(rows, t_.batch_size, true);
  }
  double ValidationLoss() {
    std::vector<int64_t> rows(static_cast<size_t>(t_.validation_rows));
    std::iota(rows.begin(), rows.end(), t_.training_rows);
    return Pass(rows, kValidationBlock, false);
  }
  const std::vector<float>& Parameters() {
    const typename Backend::Recording none(false);
    network_.CopyOut();
    return parameters_;
  }

 private:
  double Pass(const std::vector<int64_t>& rows, int64_t batch, bool learning) {
    const typename Backend::Recording recording(learning);
    const auto order = backend_.Order(rows);
    const auto total = static_cast<int64_t>(rows.size());
    typename Backend::Sum sum(backend_);
    for (int64_t begin = 0; begin < total; begin += batch) {
      if (t_.stop != nullptr && t_.stop(t_.user) != 0) throw Failure(VEDETTE_NEURAL_CANCELLED, "stopped");
      const int64_t count = std::min(batch, total - begin);
      const auto x = backend_.Rows(inputs_, order, begin, count);
      const auto loss = (network_(x) - x).square().mean();
      sum.Add(loss, static_cast<double>(count));
      if (learning) adam_.Minimise(loss);
      backend_.EndStep();
    }
    return sum.Read() / static_cast<double>(total);
  }

  const VedetteNeuralTraining& t_;
  Backend& backend_;
  std::vector<float> parameters_;  // the network's own copy: the caller's stay as they are until it is over
  typename Backend::Table inputs_;
  Chain<Backend> network_;
  Optimizer<Backend> adam_;
};

template <typename Backend>
void Run(const VedetteNeuralTraining& t, VedetteNeuralResult& result, Backend backend) {
  Trainer<Backend> trainer(t, backend);
  std::vector<float> best;
  double best_loss = std::numeric_limits<double>::infinity();
  result.validation_loss = std::numeric_limits<double>::quiet_NaN();
  for (int32_t epoch = 0; epoch < t.epochs; ++epoch) {
    const double loss = trainer.Epoch(epoch);
    const bool validates = t.validation_rows > 0;
    const double watched = validates ? trainer.ValidationLoss() : loss;
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
        best = trainer.Parameters();
      }
    }
    if (t.progress != nullptr) t.progress(t.user, static_cast<double>(epoch + 1) / t.epochs);
    if (validates && t.patience > 0 && epoch - result.best_epoch >= t.patience) break;
  }
  if (best.empty()) best = trainer.Parameters();
  std::copy(best.begin(), best.end(), t.parameters);
}

}  // namespace

void TrainDense(const VedetteNeuralTraining& t, VedetteNeuralResult& result, bool always_aten) {
  Validate(t);
  const c10::AutoGradMode gradients(true);
  at::set_num_threads(1);  // OpenMP keeps this per thread
  const FlushDenormals flush;
  const at::Device device = ChooseDevice(t.device_kind, t.device_index);
  result.device = {device.is_cuda() ? VEDETTE_NEURAL_CUDA : VEDETTE_NEURAL_CPU, device.is_cuda() ? device.index() : 0};
  if (device.is_cuda() || always_aten) return Run(t, result, AtenBackend(device));
  Run(t, result, HostBackend());
}

}  // namespace vedette::neural
