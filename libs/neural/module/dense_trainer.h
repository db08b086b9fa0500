// Trains a dense autoencoder. Throws (c10::Error, std::bad_alloc, Failure); module.cc catches.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "neural/module/abi.h"

namespace vedette::neural {

/// An error with one of the interface's codes.
struct Failure : std::runtime_error {
  Failure(int32_t c, const std::string& what) : std::runtime_error(what), code(c) {}
  int32_t code;
};

/// On the processor by our own tensors (host_tensor.h), on a CUDA device by ATen's; `always_aten`: by ATen's on the
/// processor, too, which is how tests compare the two.
void TrainDense(const VedetteNeuralTraining& training, VedetteNeuralResult& result, bool always_aten = false);

}  // namespace vedette::neural
