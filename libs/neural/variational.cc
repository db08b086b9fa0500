#include "neural/variational.h"

#include <algorithm>
#include <cmath>

#include "neural/gradients.h"
#include "neural/module/abi.h"
#include "neural/network_detector.h"
#include "outlier/gradient_source.h"

namespace vedette::neural {
namespace {

using outlier::ParamSet;

class Variational final : public NetworkDetector, public outlier::GradientSource {
 public:
  Variational(const ParamSet& p, double weight, bool mean_error)
      : NetworkDetector(p), weight_(weight), mean_error_(mean_error), hidden1_(static_cast<int32_t>(p.Int("hidden1"))),
        hidden2_(static_cast<int32_t>(p.Int("hidden2"))), hidden3_(static_cast<int32_t>(p.Int("hidden3"))),
        latent_(static_cast<int32_t>(p.Int("latent"))) {}

  absl::StatusOr<outlier::Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return ExplainTiles(X, "score", ctx);
  }
  /// Back through the decoder to the code's means, and from there through the encoder, whose variances do not matter.
  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override {
    const auto tile = [&](const TileBuffer& in, int64_t, float* gradient) {
      constexpr int64_t kTile = DenseNetwork::kTileRows;
      const DenseNetwork &encoder = networks_[0], &decoder = networks_[1];
      const int64_t d = decoder.outputs();
      DenseNetwork::Trace coded = encoder.MakeTrace(), made = decoder.MakeTrace();
      TileBuffer slope(d), back(d), code(2 * latent_);
      TileBuffer a = BackwardBuffer(encoder), b = BackwardBuffer(encoder), c = BackwardBuffer(decoder), e = BackwardBuffer(decoder);
      const float* means = encoder.ForwardKeeping(in.data(), coded);
      ErrorSlope(decoder.ForwardKeeping(means, made), in, d, slope.data());
      std::copy_n(slope.data(), d * kTile, back.data());
      std::fill_n(code.data(), 2 * latent_ * kTile, 0.0F);
      std::copy_n(decoder.Backward(back.data(), made, c, e), latent_ * kTile, code.data());
      const float* through = encoder.Backward(code.data(), coded, a, b);
      for (int64_t i = 0; i < d * kTile; ++i) gradient[i] = through[i] - slope.data()[i];
    };
    return GradientsOfTiles(scaling_, X, tile, gradients, ctx);
  }

 protected:
  std::vector<Design> Designs(int32_t d) const override {
    return {{.sizes = {d, hidden1_, hidden2_, hidden3_, 2 * latent_}}, {.sizes = {latent_, hidden3_, hidden2_, hidden1_, d}}};
  }
  size_t kept() const override { return 2; }
  absl::Status Prepare(Learning& learning, const Context&) override {
    learning.kind = VEDETTE_NEURAL_VAE;
    learning.options[0] = mean_error_ ? weight_ * static_cast<double>(networks_[0].inputs()) / 2 : weight_;
    return absl::OkStatus();
  }

  /// The code's mean stands for the row: its own outputs come first, so the decoder reads the encoder's tile as it is.
  void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts* parts) const override {
    constexpr int64_t kTile = DenseNetwork::kTileRows;
    TileBuffer a = BufferFor(networks_[0]), b = BufferFor(networks_[0]), code(latent_);
    const float* means = networks_[0].Forward(in, a, b);
    std::copy(means, means + latent_ * kTile, code.data());
    TileBuffer c = BufferFor(networks_[1]), e = BufferFor(networks_[1]);
    const float* made = networks_[1].Forward(code, c, e);
    const int64_t d = networks_[1].outputs();
    for (int64_t j = 0; j < d; ++j) {
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = j * kTile + r;
        const double error = std::abs(static_cast<double>(made[at]) - in.data()[at]);
        const double bounded = error < 1e14 ? error : 1e14;  // also when it is NaN
        const double part = bounded * bounded / static_cast<double>(d);
        scores[r] += part;
        if (parts != nullptr) parts->contributions[at] = part, parts->made[at] = made[at];
      }
    }
  }

 private:
  double weight_;
  bool mean_error_;
  int32_t hidden1_, hidden2_, hidden3_, latent_;
};

}  // namespace

std::unique_ptr<outlier::Detector> MakeVariational(const ParamSet& params, double divergence_weight, bool mean_error) {
  return std::make_unique<Variational>(params, divergence_weight, mean_error);
}

outlier::Cost VariationalCost(const ParamSet& p, int64_t rows, int64_t features) {
  const auto size = [&](const char* name) { return static_cast<double>(p.Int(name)); };
  const double weights = 2 * (static_cast<double>(features) * size("hidden1") + size("hidden1") * size("hidden2") +
                              size("hidden2") * size("hidden3") + size("hidden3") * size("latent"));
  return NetworkCost(rows, features, weights, size("epochs"), weights);
}

}  // namespace vedette::neural
