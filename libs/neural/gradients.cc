#include "neural/gradients.h"

#include <algorithm>
#include <cmath>

#include "outlier/parallel.h"

namespace vedette::neural {
namespace {

constexpr int64_t kTile = DenseNetwork::kTileRows;
constexpr int64_t kGrain = 4 * kTile;

}  // namespace

absl::Status GradientsOfTiles(const Standardizer& scaling, MatrixView X, const TileGradient& tile, Matrix& gradients,
                              const Context& ctx) {
  std::vector<double> slope(static_cast<size_t>(X.cols));
  for (int64_t j = 0; j < X.cols; ++j) {
    const double deviation = scaling.Invert(j, 1) - scaling.Invert(j, 0);
    slope[static_cast<size_t>(j)] = deviation > 0 ? 1 / deviation : 0;
  }
  return outlier::ParallelBlocks(ctx, X.rows, kGrain, [&](int64_t begin, int64_t end) {
    TileBuffer in(X.cols), out(X.cols);
    for (int64_t first = begin; first < end; first += kTile) {
      const int64_t rows = std::min(kTile, end - first);
      for (int64_t j = 0; j < X.cols; ++j) {
        for (int64_t r = 0; r < rows; ++r) in.data()[j * kTile + r] = scaling.Apply(j, X(first + r, j));
      }
      tile(in, rows, out.data());
      for (int64_t j = 0; j < X.cols; ++j) {
        for (int64_t r = 0; r < rows; ++r) {
          const bool moves = !std::isnan(X(first + r, j)) && std::fabs(in.data()[j * kTile + r]) < Standardizer::kLimit;
          const double g = static_cast<double>(out.data()[j * kTile + r]) * slope[static_cast<size_t>(j)];
          gradients(first + r, j) = moves && std::isfinite(g) ? g : 0;
        }
      }
    }
  });
}

TileBuffer BackwardBuffer(const DenseNetwork& network) {
  return TileBuffer(*std::max_element(network.sizes().begin(), network.sizes().end()));
}

TileGradient SlopeOfOutput(const DenseNetwork& network, float factor) {
  return [&network, factor](const TileBuffer& in, int64_t, float* gradient) {
    DenseNetwork::Trace trace = network.MakeTrace();
    TileBuffer back(1), a = BackwardBuffer(network), b = BackwardBuffer(network);
    network.ForwardKeeping(in.data(), trace);
    std::fill_n(back.data(), kTile, factor);
    std::copy_n(network.Backward(back.data(), trace, a, b), network.inputs() * kTile, gradient);
  };
}

void ErrorSlope(const float* made, const TileBuffer& in, int64_t features, float* slope) {
  const float scale = 2.0F / static_cast<float>(features);
  for (int64_t i = 0; i < features * kTile; ++i) {
    const float error = made[i] - in.data()[i];
    slope[i] = std::isfinite(error) ? scale * error : 0;
  }
}

}  // namespace vedette::neural
