// AE-1SVM: an autoencoder and a one-class SVM on its code, learnt together; the kernel is drawn as random Fourier features
// (Rahimi, Recht 2007). Nguyen, Vien 2018. Score = minus the SVM's decision.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/rng.h"
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

constexpr uint64_t kWaveStream = uint64_t{1} << 41;  // of Rng(seed, .)

constexpr ParamSpec kParams[] = {
    {.name = "hidden1", .default_value = "64", .min = 1, .max = 4096, .summary = "units of the layers next to the columns"},
    {.name = "hidden2", .default_value = "32", .min = 1, .max = 4096, .summary = "numbers of a row's code"},
    {.name = "nu", .type = ParamType::kReal, .default_value = "0.3", .min = 0.001, .max = 1,
     .summary = "share of the training rows that may lie outside"},
    {.name = "sigma", .type = ParamType::kReal, .default_value = "1", .min = 0.001, .max = 1000,
     .summary = "width of the Gaussian kernel, in units of the code"},
    {.name = "waves", .default_value = "1000", .min = 1, .max = 100000, .summary = "random Fourier features that stand for the kernel"},
    {.name = "alpha", .type = ParamType::kReal, .default_value = "1", .min = 0, .max = 1000,
     .summary = "weight of the reconstruction against the SVM"},
    EpochsParam("50"),
    BatchParam("32"),
    RateParam("0.001"),
    kDeviceParam,
    kDeviceIndexParam,
};

class Ae1Svm final : public NetworkDetector, public outlier::GradientSource {
 public:
  explicit Ae1Svm(const ParamSet& p)
      : NetworkDetector(p), hidden1_(static_cast<int32_t>(p.Int("hidden1"))), hidden2_(static_cast<int32_t>(p.Int("hidden2"))),
        waves_(static_cast<int32_t>(p.Int("waves"))), nu_(p.Real("nu")), sigma_(p.Real("sigma")), alpha_(p.Real("alpha")) {}

  /// Back through the plane, the cosines and the encoder.
  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override {
    const auto tile = [this](const TileBuffer& in, int64_t, float* gradient) {
      constexpr int64_t kTile = DenseNetwork::kTileRows;
      const DenseNetwork &encode = networks_[0], &phase = networks_[2];
      DenseNetwork::Trace coded = encode.MakeTrace(), phases = phase.MakeTrace();
      TileBuffer slope(waves_), back(hidden2_), a = BackwardBuffer(phase), b = BackwardBuffer(phase), c = BackwardBuffer(encode),
                 e = BackwardBuffer(encode);
      const float* const angle = phase.ForwardKeeping(encode.ForwardKeeping(in.data(), coded), phases);
      const std::span<const float> plane = networks_[3].parameters();
      const float scale = std::sqrt(2.0F / static_cast<float>(waves_));
      for (int64_t i = 0; i < waves_ * kTile; ++i) {
        slope.data()[i] = plane[static_cast<size_t>(i / kTile)] * scale * std::sin(angle[i]);
      }
      std::copy_n(phase.Backward(slope.data(), phases, a, b), hidden2_ * kTile, back.data());
      std::copy_n(encode.Backward(back.data(), coded, c, e), encode.inputs() * kTile, gradient);
    };
    return GradientsOfTiles(scaling_, X, tile, gradients, ctx);
  }

 protected:
  /// Encoder, decoder, phases, plane, in the order of the objective. All are kept; the decoder is small.
  std::vector<Design> Designs(int32_t d) const override {
    return {{.sizes = {d, hidden1_, hidden2_}}, {.sizes = {hidden2_, hidden1_, d}}, {.sizes = {hidden2_, waves_}, .fixed = true},
            {.sizes = {waves_, 1}}};
  }
  size_t kept() const override { return 4; }

  absl::Status Prepare(Learning& learning, const Context& ctx) override {
    learning.kind = VEDETTE_NEURAL_AE1SVM;
    learning.options[0] = alpha_;
    learning.options[1] = nu_;
    Rng rng(ctx.seed, kWaveStream);
    std::span<float> w = networks_[2].parameters();
    const auto slopes = static_cast<size_t>(hidden2_) * static_cast<size_t>(waves_);
    for (size_t i = 0; i < slopes; ++i) w[i] = static_cast<float>(rng.Normal() / sigma_);
    for (size_t i = slopes; i < w.size(); ++i) w[i] = static_cast<float>(rng.Uniform(0, 2 * std::numbers::pi));
    return absl::OkStatus();
  }

  void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts*) const override {
    constexpr int64_t kTile = DenseNetwork::kTileRows;
    TileBuffer a = BufferFor(networks_[0]), b = BufferFor(networks_[0]), code(hidden2_), waves(waves_);
    std::copy_n(networks_[0].Forward(in, a, b), hidden2_ * kTile, code.data());
    TileBuffer c = BufferFor(networks_[2]), e = BufferFor(networks_[2]);
    const float* phases = networks_[2].Forward(code, c, e);
    const float scale = std::sqrt(2.0f / static_cast<float>(waves_));
    for (int64_t i = 0; i < waves_ * kTile; ++i) waves.data()[i] = scale * std::cos(phases[i]);
    TileBuffer f = BufferFor(networks_[3]), g = BufferFor(networks_[3]);
    const float* out = networks_[3].Forward(waves, f, g);
    for (int64_t r = 0; r < rows; ++r) scores[r] = -static_cast<double>(out[r]);
  }

 private:
  int32_t hidden1_, hidden2_, waves_;
  double nu_, sigma_, alpha_;
};

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) {
  const auto size = [&](const char* name) { return static_cast<double>(p.Int(name)); };
  const double weights = 2 * size("hidden1") * (static_cast<double>(features) + size("hidden2")) + size("waves") * (size("hidden2") + 30);
  return NetworkCost(rows, features, weights, size("epochs"), weights);
}

}  // namespace

extern const outlier::Descriptor k_ae1svm;
const outlier::Descriptor k_ae1svm = {
    .name = "ae1svm",
    .family = "neural",
    .summary = "Rows whose code, learnt to suit it, lies outside a one-class SVM; very far rows all look alike to its bounded "
               "kernel.",
    .paper = "Nguyen, Vien, \"Scalable and interpretable one-class SVMs with deep learning and random Fourier features\", ECML PKDD 2018",
    .params = kParams,
    .deterministic = false,
    .explains = false,
    .fit_cost = "O(epochs n d)",
    .score_cost = "O(d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> { return std::make_unique<Ae1Svm>(params); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
