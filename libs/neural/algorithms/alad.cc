// ALAD: a generator, an encoder and critics of pairs (row, code), (row, row again), (code, code again), learnt against each
// other; a row is odd when a critic's features tell it from its reconstruction. Zenati et al. 2018.
#include <algorithm>
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

// With a falling rate 1500 steps rank as well as 200 passes at a constant 2e-4 (mean ROC AUC over ten sets of tests/oracle's data,
// 3 seeds: 0.790 and 0.793); sets of thousands of rows gain from some more.
constexpr double kLastRateShare = 0.1;

constexpr ParamSpec kParams[] = {
    {.name = "hidden1", .default_value = "64", .min = 1, .max = 4096, .summary = "units of the layers next to the columns"},
    {.name = "hidden2", .default_value = "32", .min = 1, .max = 4096, .summary = "units of the layers next to the code; features that are compared"},
    {.name = "latent", .default_value = "8", .min = 1, .max = 1024, .summary = "numbers of a row's code"},
    EpochsParam("200"),
    {.name = "max_steps", .default_value = "2500", .min = 1, .max = 10000000,
     .summary = "steps of the optimiser at most, a batch each, whatever the epochs; the learning rate falls to a tenth until the last"},
    BatchParam("32"),
    RateParam("0.0005"),
    kDeviceParam,
    kDeviceIndexParam,
};

class Alad final : public NetworkDetector, public outlier::GradientSource {
 public:
  explicit Alad(const ParamSet& p)
      : NetworkDetector(p), hidden1_(static_cast<int32_t>(p.Int("hidden1"))), hidden2_(static_cast<int32_t>(p.Int("hidden2"))),
        latent_(static_cast<int32_t>(p.Int("latent"))),
        max_steps_(p.Int("max_steps")) {}

  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override {
    const auto tile = [this](const TileBuffer& in, int64_t, float* gradient) { SlopeOfTile(in, gradient); };
    return GradientsOfTiles(scaling_, X, tile, gradients, ctx);
  }

 protected:
  std::vector<Design> Designs(int32_t d) const override {
    return {{.sizes = {d, hidden1_, hidden2_, latent_}},
            {.sizes = {latent_, hidden2_, hidden1_, d}},
            {.sizes = {d + latent_, hidden1_, hidden2_, 1}},
            {.sizes = {2 * d, hidden1_, hidden2_}, .output = Activation::kRelu},
            {.sizes = {hidden2_, 1}},
            {.sizes = {2 * latent_, hidden2_, 1}}};
  }
  size_t kept() const override { return 4; }
  absl::Status Prepare(Learning& learning, const Context&) override {
    learning.kind = VEDETTE_NEURAL_ALAD;
    const int64_t batches = (learning.rows + batch_size_ - 1) / batch_size_;
    const int64_t steps = std::min(max_steps_, batches * epochs_);
    learning.epochs = static_cast<int>((steps + batches - 1) / batches);
    learning.options[0] = static_cast<double>(steps);
    learning.options[1] = kLastRateShare;
    return absl::OkStatus();
  }

  /// Sum of the absolute differences of the features of (row, row) and (row, row again).
  void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts*) const override {
    constexpr int64_t kTile = DenseNetwork::kTileRows;
    const int64_t d = networks_[0].inputs();
    TileBuffer a = BufferFor(networks_[0]), b = BufferFor(networks_[0]), code(latent_), pair(2 * d);
    std::copy_n(networks_[0].Forward(in, a, b), latent_ * kTile, code.data());
    TileBuffer c = BufferFor(networks_[1]), e = BufferFor(networks_[1]);
    const float* again = networks_[1].Forward(code, c, e);
    TileBuffer f = BufferFor(networks_[3]), g = BufferFor(networks_[3]), itself(hidden2_);
    std::copy_n(in.data(), d * kTile, pair.data());
    std::copy_n(in.data(), d * kTile, pair.data() + d * kTile);
    std::copy_n(networks_[3].Forward(pair, f, g), hidden2_ * kTile, itself.data());
    std::copy_n(again, d * kTile, pair.data() + d * kTile);
    const float* made = networks_[3].Forward(pair, f, g);
    for (int64_t k = 0; k < hidden2_; ++k) {
      for (int64_t r = 0; r < rows; ++r) {
        scores[r] += std::abs(static_cast<double>(made[k * kTile + r]) - itself.data()[k * kTile + r]);
      }
    }
  }

 private:
  /// The features see a row four times: beside itself, beside what is made of it, and in what it is made of.
  void SlopeOfTile(const TileBuffer& in, float* gradient) const {
    constexpr int64_t kTile = DenseNetwork::kTileRows;
    const DenseNetwork &encode = networks_[0], &make = networks_[1], &see = networks_[3];
    const int64_t row = encode.inputs() * kTile, features = hidden2_ * kTile;
    DenseNetwork::Trace coded = encode.MakeTrace(), made = make.MakeTrace(), seen = see.MakeTrace(), itself = see.MakeTrace();
    TileBuffer pair(2 * encode.inputs()), slope(hidden2_), back(encode.inputs()), code_slope(latent_);
    TileBuffer a = BackwardBuffer(see), b = BackwardBuffer(see), c = BackwardBuffer(make), e = BackwardBuffer(make),
               f = BackwardBuffer(encode), g = BackwardBuffer(encode);
    const float* again = make.ForwardKeeping(encode.ForwardKeeping(in.data(), coded), made);
    std::copy_n(in.data(), row, pair.data());
    std::copy_n(in.data(), row, pair.data() + row);
    const float* const beside_itself = see.ForwardKeeping(pair.data(), itself);
    std::copy_n(again, row, pair.data() + row);
    const float* const beside_made = see.ForwardKeeping(pair.data(), seen);

    const auto sign = [&](int64_t k, float factor) {
      const float gap = beside_made[k] - beside_itself[k];
      return gap > 0 ? factor : gap < 0 ? -factor : 0.0F;
    };
    for (int64_t k = 0; k < features; ++k) slope.data()[k] = sign(k, -1);
    const float* through = see.Backward(slope.data(), itself, a, b);
    for (int64_t k = 0; k < row; ++k) gradient[k] = through[k] + through[row + k];
    for (int64_t k = 0; k < features; ++k) slope.data()[k] = sign(k, 1);
    through = see.Backward(slope.data(), seen, a, b);
    for (int64_t k = 0; k < row; ++k) gradient[k] += through[k];
    std::copy_n(through + row, row, back.data());
    std::copy_n(make.Backward(back.data(), made, c, e), latent_ * kTile, code_slope.data());
    through = encode.Backward(code_slope.data(), coded, f, g);
    for (int64_t k = 0; k < row; ++k) gradient[k] += through[k];
  }

  int32_t hidden1_, hidden2_, latent_;
  int64_t max_steps_;
};

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) {
  const auto size = [&](const char* name) { return static_cast<double>(p.Int(name)); };
  const double d = static_cast<double>(features);
  const double weights = size("hidden1") * (5 * d + 4 * size("hidden2")) + size("latent") * (4 * size("hidden2") + size("hidden1"));
  const double n = static_cast<double>(rows), passes = std::min(size("epochs"), size("max_steps") * size("batch_size") / n + 1);
  return NetworkCost(rows, features, weights, 4 * passes, weights);
}

}  // namespace

extern const outlier::Descriptor k_alad;
const outlier::Descriptor k_alad = {
    .name = "alad",
    .family = "neural",
    .summary = "Rows that a critic tells from what an encoder and a generator make of them; hard to train, and needs thousands of "
               "rows to beat simple methods.",
    .paper = "Zenati et al., \"Adversarially learned anomaly detection\", ICDM 2018",
    .params = kParams,
    .deterministic = false,
    .explains = false,
    .fit_cost = "O(steps d + n d)",
    .score_cost = "O(d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> { return std::make_unique<Alad>(params); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
