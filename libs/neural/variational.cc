#include "neural/variational.h"

#include <algorithm>
#include <cmath>

#include "neural/module/abi.h"
#include "neural/network_detector.h"

namespace vedette::neural {
namespace {

using outlier::ParamSet;

class Variational final : public NetworkDetector {
 public:
  Variational(const ParamSet& p, double weight, bool mean_error)
      : NetworkDetector(p), weight_(weight), mean_error_(mean_error), hidden1_(static_cast<int32_t>(p.Int("hidden1"))),
        hidden2_(static_cast<int32_t>(p.Int("hidden2"))), hidden3_(static_cast<int32_t>(p.Int("hidden3"))),
        latent_(static_cast<int32_t>(p.Int("latent"))) {}

  absl::StatusOr<outlier::Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return ExplainTiles(X, "score", ctx);
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
