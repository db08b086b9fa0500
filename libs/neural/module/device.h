// Where a fit runs, and how the processor treats the smallest numbers meanwhile.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "neural/module/dense_trainer.h"

namespace vedette::neural {

/// Adam's moments of weights behind a dead ReLU decay into denormals, which cost 100 cycles each.
class FlushDenormals {
 public:
  FlushDenormals() : set_(at::globalContext().setFlushDenormal(true)) {}
  ~FlushDenormals() {
    if (set_) at::globalContext().setFlushDenormal(false);
  }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  bool set_;
};

inline at::Device ChooseDevice(int32_t kind, int32_t index) {
  if (kind == VEDETTE_NEURAL_CPU) return at::Device(at::kCPU);
  const auto gpus = static_cast<int64_t>(at::getNumGPUs());
  if (index >= 0 && index < gpus) {
    return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
  }
  if (kind == VEDETTE_NEURAL_AUTO) return at::Device(at::kCPU);
  throw Failure(VEDETTE_NEURAL_FAILED_PRECONDITION,
                "CUDA device " + std::to_string(index) + " is not available: " +
                    (gpus > 0 ? "there are " + std::to_string(gpus)
                              : std::string(at::hasCUDA() ? "no device was found" : "this LibTorch was built without CUDA")));
}

}  // namespace vedette::neural
