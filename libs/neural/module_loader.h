// Finds and loads libvedette_neural.so (module/abi.h): the only way from the rest of Vedette to LibTorch.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"

struct VedetteNeuralApi;

namespace vedette::neural {

enum class DeviceKind { kAuto, kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  std::string Name() const;  ///< "cpu", "cuda:0"
};

/// What to train on and how; see VedetteNeuralTraining for the meaning, the units and the order of the parameters.
struct DenseTraining {
  std::span<const int32_t> sizes;
  std::span<const float> inputs;  ///< (training_rows + validation_rows) x sizes[0], row-major
  int64_t training_rows = 0;
  int64_t validation_rows = 0;
  int64_t batch_size = 32;
  int epochs = 50;
  int patience = 5;
  double learning_rate = 1e-3;
  Device device = {DeviceKind::kAuto, 0};
};

/// One or several networks for one of the objectives of module/abi.h; see there for the meaning of kind, targets, options.
struct Learning {
  struct Part {
    class DenseNetwork* network = nullptr;
    bool use_bias = true, fixed = false;
  };
  int kind = 0;
  std::vector<Part> parts;
  std::span<const float> inputs;  ///< rows x width, row-major
  int64_t rows = 0;
  std::span<const float> targets = {};
  int64_t batch_size = 32;
  int epochs = 1;
  double learning_rate = 1e-3, weight_decay = 0;
  double options[4] = {};
  Device device = {DeviceKind::kAuto, 0};
};

struct TrainingSummary {
  int epochs = 0;      ///< that were run
  int best_epoch = 0;  ///< from 0: the one whose weights were kept
  double training_loss = 0;
  double validation_loss = 0;  ///< NaN without validation rows
  Device device;
  std::vector<double> training_losses, validation_losses;  ///< one an epoch
};

/// The loaded module. Immutable, thread-safe; never unloaded (LibTorch does not survive that).
class Module {
 public:
  /// Loads it on the first call that succeeds (0.3 s) and keeps it. Looked for: the file that the environment variable
  /// VEDETTE_NEURAL_MODULE names (and nowhere else then); beside the executable, in ../lib and ../lib/vedette from there;
  /// on the loader's path. FAILED_PRECONDITION says what was tried and what to build or install. A load goes on without
  /// a caller that ctx stops: CANCELLED, DEADLINE_EXCEEDED.
  static absl::StatusOr<const Module*> Get(const Context& ctx = {});
  /// Loads this file. FAILED_PRECONDITION when it is absent, cannot be loaded or speaks another version.
  static absl::StatusOr<std::unique_ptr<const Module>> Open(const std::string& path);

  /// "LibTorch 1.13.1, CUDA no".
  std::string_view build() const;
  /// What it can train on, the CPU first.
  std::vector<Device> Devices() const;
  /// Trains from `parameters` (in: start, out: the best epoch; unchanged on error). ctx gives seed, stop, deadline and
  /// progress. Errors: CANCELLED, DEADLINE_EXCEEDED, INVALID_ARGUMENT (diverged), FAILED_PRECONDITION (no such device),
  /// RESOURCE_EXHAUSTED, INTERNAL. Same seed, same machine, CPU: the same bits.
  absl::StatusOr<TrainingSummary> Train(const DenseTraining& training, std::span<float> parameters,
                                        const Context& ctx) const;
  /// Learns from the networks' parameters, which are unchanged on error. Errors, seed and bits as Train's.
  absl::Status Learn(const Learning& learning, const Context& ctx) const;

 private:
  explicit Module(const VedetteNeuralApi* api) : api_(api) {}
  const VedetteNeuralApi* api_;
};

}  // namespace vedette::neural
