#include "neural/module_loader.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/status.h"
#include "neural/dense_network.h"
#include "neural/module/abi.h"

namespace vedette::neural {
namespace {

constexpr const char* kFileName = "libvedette_neural.so";
constexpr const char* kVariable = "VEDETTE_NEURAL_MODULE";
constexpr const char* kAdvice =
    "fitting a neural algorithm needs this module: build it (cmake -DVEDETTE_NEURAL=ON, with libtorch-dev installed, "
    "target vedette_neural_module) and put it beside the program or in ../lib, or name the file in "
    "VEDETTE_NEURAL_MODULE; models that were fitted elsewhere are scored without it";

/// Places of an installed module, next to the running program.
std::vector<std::string> Neighbours() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const std::filesystem::path folder = program.parent_path();
  return {(folder / kFileName).string(), (folder / ".." / "lib" / kFileName).lexically_normal().string(),
          (folder / ".." / "lib" / "vedette" / kFileName).lexically_normal().string()};
}

absl::StatusOr<std::unique_ptr<const Module>> Find() {
  if (const char* named = std::getenv(kVariable); named != nullptr && *named != '\0') {
    auto module = Module::Open(named);
    if (!module.ok()) return Annotate(module.status(), kVariable);
    return module;
  }
  std::string tried;
  for (const std::string& path : Neighbours()) {
    std::error_code error;
    if (std::filesystem::exists(path, error)) return Module::Open(path);  // found but unusable is an error of its own
    tried += path + ", ";
  }
  auto module = Module::Open(kFileName);
  if (!module.ok()) {
    return FailedPrecondition("{} is not installed (looked at {}and the loader's path): {}", kFileName, tried, kAdvice);
  }
  return module;
}

/// Carries ctx into the callbacks, and out of them why it stopped.
struct Bridge {
  const Context* ctx;
  absl::Status stopped;
};

int32_t OnStop(void* user) {
  auto* bridge = static_cast<Bridge*>(user);
  bridge->stopped = bridge->ctx->Check();
  return bridge->stopped.ok() ? 0 : 1;
}

void OnProgress(void* user, double share) {
  const auto* bridge = static_cast<Bridge*>(user);
  if (bridge->ctx->progress) bridge->ctx->progress(share);
}

int32_t KindNumber(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::kCpu:
      return VEDETTE_NEURAL_CPU;
    case DeviceKind::kCuda:
      return VEDETTE_NEURAL_CUDA;
    case DeviceKind::kAuto:
      break;
  }
  return VEDETTE_NEURAL_AUTO;
}

Device FromC(const VedetteNeuralDevice& d) {
  return {d.kind == VEDETTE_NEURAL_CUDA ? DeviceKind::kCuda : DeviceKind::kCpu, d.index};
}

absl::Status FromCode(int32_t code, const VedetteNeuralResult& result, const Bridge& bridge) {
  if (code == VEDETTE_NEURAL_OK) return absl::OkStatus();
  if (code == VEDETTE_NEURAL_CANCELLED && !bridge.stopped.ok()) return bridge.stopped;
  return absl::Status(static_cast<absl::StatusCode>(code), result.error);
}

}  // namespace

std::string Device::Name() const {
  switch (kind) {
    case DeviceKind::kCpu:
      return "cpu";
    case DeviceKind::kCuda:
      return fmt::format("cuda:{}", index);
    case DeviceKind::kAuto:
      break;
  }
  return "auto";
}

absl::StatusOr<const Module*> Module::Get(const Context& ctx) {
  using Found = absl::StatusOr<std::unique_ptr<const Module>>;
  constexpr std::chrono::milliseconds kLook(10), kNow(0);
  static std::mutex mutex;
  static std::shared_future<Found> last;
  std::shared_future<Found> loading;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!last.valid() || (last.wait_for(kNow) == std::future_status::ready && !last.get().ok())) {
      last = std::async(std::launch::async, Find);
    }
    loading = last;
  }
  while (loading.wait_for(kLook) != std::future_status::ready) RETURN_IF_ERROR(ctx.Check());
  const Found& found = loading.get();
  RETURN_IF_ERROR(found.status());
  return found->get();  // lives on in `last`, which only a failed one makes way for
}

absl::StatusOr<std::unique_ptr<const Module>> Module::Open(const std::string& path) {
  std::error_code error;
  if (path.find('/') != std::string::npos && !std::filesystem::exists(path, error)) {
    return FailedPrecondition("there is no file {}: {}", path, kAdvice);
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = dlerror();
    return FailedPrecondition("cannot load {}: {} (is LibTorch installed?)", path,
                              why == nullptr ? "no reason given" : why);
  }
  const auto entry = reinterpret_cast<VedetteNeuralEntry>(dlsym(handle, VEDETTE_NEURAL_ENTRY));
  if (entry == nullptr) {
    dlclose(handle);
    return FailedPrecondition("{} is not a neural module of Vedette: it has no {}", path, VEDETTE_NEURAL_ENTRY);
  }
  const VedetteNeuralApi* api = entry(VEDETTE_NEURAL_ABI_VERSION);
  if (api == nullptr || api->version != VEDETTE_NEURAL_ABI_VERSION || api->struct_size < sizeof(VedetteNeuralApi)) {
    return FailedPrecondition(
        "{} does not speak version {} of the interface: build program and module from the same source", path,
        VEDETTE_NEURAL_ABI_VERSION);
  }
  return std::unique_ptr<const Module>(new Module(api));
}

std::string_view Module::build() const { return api_->build; }

std::vector<Device> Module::Devices() const {
  std::vector<VedetteNeuralDevice> found(static_cast<size_t>(std::max(0, api_->devices(nullptr, 0))));
  api_->devices(found.data(), static_cast<int32_t>(found.size()));
  std::vector<Device> out;
  for (const VedetteNeuralDevice& d : found) out.push_back(FromC(d));
  return out;
}

absl::StatusOr<TrainingSummary> Module::Train(const DenseTraining& training, std::span<float> parameters,
                                              const Context& ctx) const {
  const int64_t rows = training.training_rows + training.validation_rows;
  if (training.sizes.empty() || static_cast<int64_t>(training.inputs.size()) != rows * training.sizes.front()) {
    return InvalidArgument("{} inputs are not {} rows of the first of {} sizes", training.inputs.size(), rows,
                           training.sizes.size());
  }
  TrainingSummary summary;
  summary.training_losses.resize(static_cast<size_t>(std::max(training.epochs, 0)));
  summary.validation_losses.resize(summary.training_losses.size());
  Bridge bridge{&ctx, absl::OkStatus()};

  VedetteNeuralTraining c = {};
  c.struct_size = sizeof c;
  c.device_kind = KindNumber(training.device.kind);
  c.device_index = training.device.index;
  c.size_count = static_cast<int32_t>(training.sizes.size());
  c.sizes = training.sizes.data();
  c.inputs = training.inputs.data();
  c.training_rows = training.training_rows;
  c.validation_rows = training.validation_rows;
  c.batch_size = training.batch_size;
  c.epochs = training.epochs;
  c.patience = training.patience;
  c.learning_rate = training.learning_rate;
  c.seed = ctx.seed;
  c.parameters = parameters.data();
  c.parameter_count = static_cast<int64_t>(parameters.size());
  c.training_losses = summary.training_losses.data();
  c.validation_losses = summary.validation_losses.data();
  c.stop = OnStop;
  c.progress = OnProgress;
  c.user = &bridge;
  VedetteNeuralResult result = {};
  result.struct_size = sizeof result;

  RETURN_IF_ERROR(FromCode(api_->train(&c, &result), result, bridge));
  summary.epochs = result.epochs;
  summary.best_epoch = result.best_epoch;
  summary.training_loss = result.training_loss;
  summary.validation_loss = result.validation_loss;
  summary.device = FromC(result.device);
  summary.training_losses.resize(static_cast<size_t>(result.epochs));
  summary.validation_losses.resize(static_cast<size_t>(result.epochs));
  return summary;
}

absl::Status Module::Learn(const Learning& learning, const Context& ctx) const {
  if (learning.rows < 1 || learning.inputs.size() % static_cast<size_t>(learning.rows) != 0) {
    return InvalidArgument("{} inputs are not {} rows", learning.inputs.size(), learning.rows);
  }
  std::vector<VedetteNeuralNetwork> networks;
  for (const Learning::Part& part : learning.parts) {
    VedetteNeuralNetwork n = {};
    n.sizes = part.network->sizes().data();
    n.size_count = static_cast<int32_t>(part.network->sizes().size());
    n.hidden = static_cast<int32_t>(part.network->hidden_activation());
    n.output = static_cast<int32_t>(part.network->output_activation());
    n.use_bias = part.use_bias ? 1 : 0;
    n.fixed = part.fixed ? 1 : 0;
    n.parameters = part.network->parameters().data();
    n.parameter_count = static_cast<int64_t>(part.network->parameters().size());
    networks.push_back(n);
  }
  Bridge bridge{&ctx, absl::OkStatus()};
  VedetteNeuralObjective c = {};
  c.struct_size = sizeof c;
  c.device_kind = KindNumber(learning.device.kind);
  c.device_index = learning.device.index;
  c.kind = learning.kind;
  c.networks = networks.data();
  c.network_count = static_cast<int32_t>(networks.size());
  c.epochs = learning.epochs;
  c.inputs = learning.inputs.data();
  c.rows = learning.rows;
  c.width = static_cast<int64_t>(learning.inputs.size()) / learning.rows;
  c.targets = learning.targets.empty() ? nullptr : learning.targets.data();
  c.target_count = static_cast<int64_t>(learning.targets.size());
  c.batch_size = learning.batch_size;
  c.learning_rate = learning.learning_rate;
  c.weight_decay = learning.weight_decay;
  std::copy(std::begin(learning.options), std::end(learning.options), c.options);
  c.seed = ctx.seed;
  c.stop = OnStop;
  c.progress = OnProgress;
  c.user = &bridge;
  VedetteNeuralResult result = {};
  result.struct_size = sizeof result;
  return FromCode(api_->learn(&c, &result), result, bridge);
}

}  // namespace vedette::neural
