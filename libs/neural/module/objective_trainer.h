// Trains one or several dense networks for the objectives of abi.h, with ATen's automatic differentiation. Throws as
// dense_trainer does.
#pragma once

#include "neural/module/dense_trainer.h"

namespace vedette::neural {

void LearnObjective(const VedetteNeuralObjective& objective, VedetteNeuralResult& result);

}  // namespace vedette::neural
