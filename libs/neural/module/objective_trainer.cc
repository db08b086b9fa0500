// What an objective may be, and on which backend it runs.
#include "neural/module/objective_trainer.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "neural/module/aten_backend.h"
#include "neural/module/device.h"
#include "neural/module/host_backend.h"
#include "neural/module/learner.h"

namespace vedette::neural {
namespace {

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

template <typename Backend>
void Run(const VedetteNeuralObjective& o, VedetteNeuralResult& result, Backend backend) {
  Learner<Backend> learner(o, backend);
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

}  // namespace

void LearnObjective(const VedetteNeuralObjective& o, VedetteNeuralResult& result, bool always_aten) {
  Validate(o);
  const c10::AutoGradMode gradients(true);
  at::set_num_threads(1);  // OpenMP keeps this per thread
  const FlushDenormals flush;
  const at::Device device = ChooseDevice(o.device_kind, o.device_index);
  result.device = {device.is_cuda() ? VEDETTE_NEURAL_CUDA : VEDETTE_NEURAL_CPU, device.is_cuda() ? device.index() : 0};
  if (device.is_cuda() || always_aten) return Run(o, result, AtenBackend(device));
  Run(o, result, HostBackend());
}

}  // namespace vedette::neural
