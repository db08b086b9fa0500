// What detectors of dense networks share for outlier::GradientSource: from the slopes of tiles of standardised rows to
// those of the matrix.
#pragma once

#include <absl/status/status.h>

#include <functional>

#include "base/context.h"
#include "base/matrix.h"
#include "neural/dense_network.h"
#include "neural/standardizer.h"

namespace vedette::neural {

/// Writes the derivative of each row's score by its standardised values to gradient[feature * kTileRows + row]. Called
/// from any thread.
using TileGradient = std::function<void(const TileBuffer& in, int64_t rows, float* gradient)>;

/// 0 for what is missing or cut at Standardizer::kLimit. Float32 inside; a row's bits do not depend on the batch.
absl::Status GradientsOfTiles(const Standardizer& scaling, MatrixView X, const TileGradient& tile, Matrix& gradients,
                              const Context& ctx);

/// As wide as DenseNetwork::Backward's buffers must be.
TileBuffer BackwardBuffer(const DenseNetwork& network);

/// Of the score `factor` times the only output of a network, which must outlive it.
TileGradient SlopeOfOutput(const DenseNetwork& network, float factor);

/// Derivative of the mean squared error of `made` against `in` by `made`: 2 (made - in) / features; 0 where it is not
/// finite.
void ErrorSlope(const float* made, const TileBuffer& in, int64_t features, float* slope);

}  // namespace vedette::neural
