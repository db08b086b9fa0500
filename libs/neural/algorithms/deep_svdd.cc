// Deep SVDD: a network without biases maps rows into a ball about a fixed centre; far from it is odd. Ruff et al. 2018,
// "Deep one-class classification". The centre is the mean of the untrained network's outputs, kept away from 0, which such a
// network could reach by all weights becoming 0.
#include <cmath>

#include "neural/algorithms.h"
#include "neural/gradients.h"
#include "neural/module/abi.h"
#include "neural/network_detector.h"
#include "outlier/gradient_source.h"

namespace vedette::neural {
namespace {

using outlier::ParamSet;
using outlier::ParamSpec;
using outlier::ParamType;

constexpr double kAwayFromZero = 0.1;

constexpr ParamSpec kParams[] = {
    {.name = "hidden1", .default_value = "64", .min = 1, .max = 4096, .summary = "units of the hidden layer"},
    {.name = "hidden2", .default_value = "32", .min = 1, .max = 4096, .summary = "numbers of a row's image, where distances are taken"},
    {.name = "weight_decay", .type = ParamType::kReal, .default_value = "1e-6", .min = 0, .max = 1,
     .summary = "pull of the weights towards 0 (lambda of the paper)"},
    EpochsParam("100"),
    BatchParam("32"),
    RateParam("0.0001"),
    kDeviceParam,
    kDeviceIndexParam,
};

class DeepSvdd final : public NetworkDetector, public outlier::GradientSource {
 public:
  explicit DeepSvdd(const ParamSet& p)
      : NetworkDetector(p), hidden1_(static_cast<int32_t>(p.Int("hidden1"))), hidden2_(static_cast<int32_t>(p.Int("hidden2"))),
        decay_(p.Real("weight_decay")) {}

  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override {
    const auto tile = [&](const TileBuffer& in, int64_t, float* gradient) {
      constexpr int64_t kTile = DenseNetwork::kTileRows;
      const DenseNetwork& network = networks_[0];
      DenseNetwork::Trace trace = network.MakeTrace();
      TileBuffer back(network.outputs()), a = BackwardBuffer(network), b = BackwardBuffer(network);
      const float* out = network.ForwardKeeping(in.data(), trace);
      for (int64_t i = 0; i < network.outputs() * kTile; ++i) back.data()[i] = 2 * (out[i] - extras_[static_cast<size_t>(i / kTile)]);
      std::copy_n(network.Backward(back.data(), trace, a, b), network.inputs() * kTile, gradient);
    };
    return GradientsOfTiles(scaling_, X, tile, gradients, ctx);
  }

 protected:
  std::vector<Design> Designs(int32_t d) const override {
    return {{.sizes = {d, hidden1_, hidden2_}, .use_bias = false}};
  }
  size_t kept() const override { return 1; }
  size_t extras() const override { return static_cast<size_t>(hidden2_); }

  absl::Status Prepare(Learning& learning, const Context& ctx) override {
    constexpr int64_t kTile = DenseNetwork::kTileRows;
    DenseNetwork& network = networks_[0];
    RemoveBiases(network);
    const int64_t d = network.inputs();
    std::vector<double> sums(extras());
    TileBuffer in(d), a = BufferFor(network), b = BufferFor(network);
    for (int64_t first = 0; first < learning.rows; first += kTile) {
      if (first % (64 * kTile) == 0) {
        if (absl::Status s = ctx.Check(); !s.ok()) return s;
      }
      const int64_t rows = std::min(kTile, learning.rows - first);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < d; ++j) in.data()[j * kTile + r] = learning.inputs[static_cast<size_t>((first + r) * d + j)];
      }
      const float* out = network.Forward(in, a, b);
      for (size_t k = 0; k < sums.size(); ++k) {
        for (int64_t r = 0; r < rows; ++r) sums[k] += out[static_cast<int64_t>(k) * kTile + r];
      }
    }
    extras_.clear();
    for (const double sum : sums) {
      const double mean = sum / static_cast<double>(learning.rows);
      extras_.push_back(static_cast<float>(std::abs(mean) >= kAwayFromZero ? mean : mean < 0 ? -kAwayFromZero : kAwayFromZero));
    }
    targets_ = extras_;
    learning.kind = VEDETTE_NEURAL_SVDD;
    learning.weight_decay = decay_;
    return absl::OkStatus();
  }

  void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts*) const override {
    TileBuffer a = BufferFor(networks_[0]), b = BufferFor(networks_[0]);
    const float* out = networks_[0].Forward(in, a, b);
    for (size_t k = 0; k < extras_.size(); ++k) {
      for (int64_t r = 0; r < rows; ++r) {
        const double gap = static_cast<double>(out[static_cast<int64_t>(k) * DenseNetwork::kTileRows + r]) - extras_[k];
        scores[r] += gap * gap;
      }
    }
  }

 private:
  static void RemoveBiases(DenseNetwork& network) {
    size_t at = 0;
    for (size_t l = 1; l < network.sizes().size(); ++l) {
      const auto out = static_cast<size_t>(network.sizes()[l]);
      at += static_cast<size_t>(network.sizes()[l - 1]) * out;
      std::fill_n(network.parameters().begin() + static_cast<std::ptrdiff_t>(at), out, 0.0f);
      at += out;
    }
  }

  int32_t hidden1_, hidden2_;
  double decay_;
};

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) {
  const double h1 = static_cast<double>(p.Int("hidden1")), weights = h1 * (static_cast<double>(features) + static_cast<double>(p.Int("hidden2")));
  return NetworkCost(rows, features, weights, static_cast<double>(p.Int("epochs")), weights);
}

}  // namespace

extern const outlier::Descriptor k_deep_svdd;
const outlier::Descriptor k_deep_svdd = {
    .name = "deep_svdd",
    .family = "neural",
    .summary = "Rows that a network, taught to map all rows near one point, maps far from it; odd rows in the training data are "
               "pulled in as well.",
    .paper = "Ruff et al., \"Deep one-class classification\", ICML 2018",
    .params = kParams,
    .deterministic = false,
    .explains = false,
    .fit_cost = "O(epochs n d)",
    .score_cost = "O(d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> { return std::make_unique<DeepSvdd>(params); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
