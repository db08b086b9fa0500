// Trains one or several dense networks for the objectives of abi.h. Throws as dense_trainer does.
#pragma once

#include "neural/module/dense_trainer.h"

namespace vedette::neural {

/// On the processor by our own tensors (host_tensor.h), on a CUDA device by ATen's; `always_aten`: by ATen's on the processor,
/// too, which is how tests compare the two.
void LearnObjective(const VedetteNeuralObjective& objective, VedetteNeuralResult& result, bool always_aten = false);

}  // namespace vedette::neural
