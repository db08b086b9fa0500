#include "neural/active_learning.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "neural/gradients.h"
#include "neural/module/abi.h"
#include "outlier/gradient_source.h"

namespace vedette::neural {
namespace {

using outlier::ParamSet;

class ActiveLearning final : public NetworkDetector, public outlier::GradientSource {
 public:
  ActiveLearning(const ParamSet& p, int64_t generators)
      : NetworkDetector(p, 3 * p.Int("stop_epochs")), generators_(generators), stop_(p.Int("stop_epochs")), hidden_(static_cast<int32_t>(p.Int("hidden"))),
        generator_rate_(p.Real("generator_rate")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    if (X.cols > kMostGaalColumns) {
      return InvalidArgument("{} columns: generators of that width would not be learnt; at most {}", X.cols, kMostGaalColumns);
    }
    return FitNetworks(X, {}, ctx);
  }
  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override {
    return GradientsOfTiles(scaling_, X, SlopeOfOutput(networks_[0], -1), gradients, ctx);
  }

 protected:
  std::vector<Design> Designs(int32_t d) const override {
    std::vector<Design> out = {{.sizes = {d, hidden_, 1}}};
    if (d > kMostGaalColumns) return out;  // of a damaged state: only the discriminator is loaded
    for (int64_t k = 0; k < generators_; ++k) out.push_back({.sizes = {d, d, d}});
    return out;
  }
  size_t kept() const override { return 1; }

  absl::Status Prepare(Learning& learning, const Context&) override {
    learning.kind = VEDETTE_NEURAL_GAAL;
    learning.options[0] = static_cast<double>(stop_);
    learning.options[1] = generator_rate_;
    // Noise is uniform in [0, 1): a generator starts by spreading it over the bulk of the standardised rows.
    for (size_t k = 1; k < networks_.size(); ++k) {
      std::span<float> w = networks_[k].parameters();
      const auto d = static_cast<size_t>(networks_[k].inputs());
      std::fill(w.begin(), w.end(), 0.0f);
      for (size_t j = 0; j < d; ++j) {
        w[j * d + j] = 1;
        w[d * d + d + j * d + j] = kSpread;
        w[2 * d * d + d + j] = -kSpread / 2;
      }
    }
    return absl::OkStatus();
  }

  /// The logit of "made", not its probability: order is the same and far rows do not tie at 1.
  void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts*) const override {
    TileBuffer a = BufferFor(networks_[0]), b = BufferFor(networks_[0]);
    const float* out = networks_[0].Forward(in, a, b);
    for (int64_t r = 0; r < rows; ++r) scores[r] = -static_cast<double>(out[r]);
  }

 private:
  static constexpr float kSpread = 8;  // -4..4 standard deviations

  int64_t generators_, stop_;
  int32_t hidden_;
  double generator_rate_;
};

}  // namespace

std::unique_ptr<outlier::Detector> MakeActiveLearning(const ParamSet& params, int64_t generators) {
  return std::make_unique<ActiveLearning>(params, generators);
}

outlier::Cost ActiveLearningCost(const ParamSet& p, int64_t generators, int64_t rows, int64_t features) {
  const double d = static_cast<double>(features), h = static_cast<double>(p.Int("hidden")), g = static_cast<double>(generators);
  const double critic = (d + 2) * h, epochs = 3 * static_cast<double>(p.Int("stop_epochs"));
  const double steps = epochs * std::ceil(static_cast<double>(rows) / static_cast<double>(p.Int("batch_size")));
  outlier::Cost cost = NetworkCost(rows, features, critic + 2 * d * d * g, 0, critic);
  cost.model_bytes = 4096 + 4 * critic + 16 * d;
  return cost.PlusFit(steps * 2e-5 * (1 + g) + epochs * static_cast<double>(rows) * 2e-10 * (3 * critic + 2 * d * d));
}

}  // namespace vedette::neural
