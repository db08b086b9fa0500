// The C interface over dense_trainer: nothing thrown gets past this file.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "neural/module/abi.h"
#include "neural/module/dense_trainer.h"
#include "neural/module/objective_trainer.h"

namespace vedette::neural {
namespace {

/// Our pool is the one level of parallelism: Torch and its BLAS run on the calling thread.
bool LimitThreads() {
  at::set_num_threads(1);
  try {
    at::set_num_interop_threads(1);
  } catch (const std::exception&) {
    // Already fixed by the program that loaded us; we start no inter-op work.
  }
  using SetThreads = void (*)(int);
  if (auto* set = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(1);
  return true;
}

int32_t Fail(VedetteNeuralResult* result, int32_t code, const char* what) {
  std::strncpy(result->error, what, sizeof result->error - 1);
  result->error[sizeof result->error - 1] = '\0';
  return code;
}

/// The same frame for every entry: sizes of the structs first, then `work`, and its errors as codes.
template <typename Task>
int32_t Guarded(const Task* task, VedetteNeuralResult* result, void (*work)(const Task&, VedetteNeuralResult&)) {
  if (result == nullptr || result->struct_size < sizeof *result) return VEDETTE_NEURAL_INVALID_ARGUMENT;
  result->error[0] = '\0';
  if (task == nullptr || task->struct_size < sizeof *task) {
    return Fail(result, VEDETTE_NEURAL_INVALID_ARGUMENT, "struct_size of the task is too small for this version");
  }
  try {
    work(*task, *result);
    return VEDETTE_NEURAL_OK;
  } catch (const Failure& e) {
    return Fail(result, e.code, e.what());
  } catch (const c10::OutOfMemoryError& e) {
    return Fail(result, VEDETTE_NEURAL_RESOURCE_EXHAUSTED, e.what_without_backtrace());
  } catch (const c10::Error& e) {
    return Fail(result, VEDETTE_NEURAL_INTERNAL, e.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return Fail(result, VEDETTE_NEURAL_RESOURCE_EXHAUSTED, "out of memory");
  } catch (const std::exception& e) {
    return Fail(result, VEDETTE_NEURAL_INTERNAL, e.what());
  } catch (...) {
    return Fail(result, VEDETTE_NEURAL_INTERNAL, "unknown exception");
  }
}

int32_t Train(const VedetteNeuralTraining* training, VedetteNeuralResult* result) {
  return Guarded<VedetteNeuralTraining>(training, result, [](const auto& t, auto& r) { TrainDense(t, r); });
}

int32_t Learn(const VedetteNeuralObjective* objective, VedetteNeuralResult* result) {
  return Guarded<VedetteNeuralObjective>(objective, result, [](const auto& o, auto& r) { LearnObjective(o, r); });
}

int32_t Devices(VedetteNeuralDevice* out, int32_t capacity) {
  int32_t gpus = 0;
  try {
    gpus = static_cast<int32_t>(at::getNumGPUs());
  } catch (const std::exception&) {
    // A CUDA build on a machine without a driver: the CPU is what there is.
  }
  for (int32_t i = 0; i < std::min(capacity, gpus + 1); ++i) {
    out[i] = i == 0 ? VedetteNeuralDevice{VEDETTE_NEURAL_CPU, 0} : VedetteNeuralDevice{VEDETTE_NEURAL_CUDA, i - 1};
  }
  return gpus + 1;
}

}  // namespace
}  // namespace vedette::neural

extern "C" __attribute__((visibility("default"))) const VedetteNeuralApi* vedette_neural_api(uint32_t version) {
  if (version != VEDETTE_NEURAL_ABI_VERSION) return nullptr;
  static const bool limited = vedette::neural::LimitThreads();
  static const std::string build =
      std::string("LibTorch " TORCH_VERSION ", CUDA ") + (limited && at::hasCUDA() ? "yes" : "no");
  static const VedetteNeuralApi api = {VEDETTE_NEURAL_ABI_VERSION, sizeof(VedetteNeuralApi), build.c_str(),
                                       vedette::neural::Devices, vedette::neural::Train,
                                       vedette::neural::Learn};
  return &api;
}
