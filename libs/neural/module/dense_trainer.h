// Trains a dense autoencoder with ATen. Throws (c10::Error, std::bad_alloc, Failure); module.cc catches.
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

void TrainDense(const VedetteNeuralTraining& training, VedetteNeuralResult& result);

}  // namespace vedette::neural
