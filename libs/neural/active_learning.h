// Generative adversarial active learning, behind `so_gaal` (one generator) and `mo_gaal` (several). Liu et al. 2019: generators
// learn to put points among the rows; the discriminator that tells rows from points ends as a boundary of the rows.
#pragma once

#include <memory>

#include "neural/network_detector.h"

namespace vedette::neural {

inline constexpr outlier::ParamSpec kStopParam = {
    .name = "stop_epochs", .default_value = "20", .min = 1, .max = 10000,
    .summary = "epochs in which generators learn; the discriminator learns for three times as many"};
inline constexpr outlier::ParamSpec kGeneratorRateParam = {
    .name = "generator_rate", .type = outlier::ParamType::kReal, .default_value = "0.0001", .min = 1e-7, .max = 0.1,
    .summary = "step size of the generators; that of the discriminator is learning_rate"};

/// Columns that the generators' d x d layers can take.
inline constexpr int64_t kMostGaalColumns = 2048;

std::unique_ptr<outlier::Detector> MakeActiveLearning(const outlier::ParamSet& params, int64_t generators);
outlier::Cost ActiveLearningCost(const outlier::ParamSet& params, int64_t generators, int64_t rows, int64_t features);

}  // namespace vedette::neural
