// AnoGAN: a generator learns to make rows that a discriminator cannot tell from real ones; for each row the code is
// searched whose made row is nearest. Schlegl, Seeboeck, Waldstein, Schmidt-Erfurth, Langs 2017. Score = the least loss
// that the search met: the mean distance of row and made row in the columns, and in the discriminator's features. The
// search is a fixed number of Adam's steps from the middle of the codes, 16 rows side by side, each for itself: it
// needs no Torch, and a row's score does not depend on its batch. Training takes a number of steps, whatever the rows,
// as PyOD does.
#include <algorithm>
#include <cmath>

#include "neural/algorithms.h"
#include "neural/module/abi.h"
#include "neural/network_detector.h"

namespace vedette::neural {
namespace {

using outlier::ParamSet;
using outlier::ParamSpec;
using outlier::ParamType;

constexpr int64_t kTile = DenseNetwork::kTileRows;
constexpr int32_t kHeadUnits = 5;  // of the discriminator, above the features that are compared

constexpr ParamSpec kParams[] = {
    {.name = "latent",
     .default_value = "4",
     .min = 1,
     .max = 1024,
     .summary = "numbers of a code, from which the generator makes a row"},
    {.name = "hidden1",
     .default_value = "40",
     .min = 1,
     .max = 4096,
     .summary = "units of the layers next to the columns"},
    {.name = "hidden2",
     .default_value = "20",
     .min = 1,
     .max = 4096,
     .summary = "units of the second layers; of the discriminator, the features that are compared"},
    {.name = "train_steps",
     .default_value = "500",
     .min = 1,
     .max = 1000000,
     .summary = "steps of the optimiser in training, a batch each"},
    {.name = "search_steps",
     .default_value = "50",
     .min = 1,
     .max = 10000,
     .summary = "steps of the search for a row's code"},
    {.name = "search_rate",
     .type = ParamType::kReal,
     .default_value = "0.1",
     .min = 1e-5,
     .max = 1,
     .summary = "step size of the search; codes are standard normal numbers"},
    {.name = "feature_weight",
     .type = ParamType::kReal,
     .default_value = "1",
     .min = 0,
     .max = 1000,
     .summary = "weight of the distance in the discriminator's features against that in the columns"},
    {.name = "standardize",
     .type = ParamType::kBool,
     .default_value = "true",
     .summary = "columns to mean 0 and deviation 1; false: columns as they are, so that the largest decide"},
    BatchParam("32"),
    RateParam("0.001"),
    kDeviceParam,
    kDeviceIndexParam,
};

/// Adam on a tile of codes: each number for itself.
class CodeSearch {
 public:
  CodeSearch(int64_t latent, float rate)
      : rate_(rate), code_(latent), mean_(latent), square_(latent), count_(latent * kTile) {
    for (TileBuffer* t : {&code_, &mean_, &square_}) std::fill_n(t->data(), count_, 0.0f);
  }
  const TileBuffer& code() const { return code_; }
  void Step(const float* gradient) {
    constexpr float kMean = 0.9f, kSquare = 0.999f, kEpsilon = 1e-8f;
    mean_share_ *= kMean;
    square_share_ *= kSquare;
    const float unbias = 1 / (1 - mean_share_), unbias_square = 1 / (1 - square_share_);
    float *const z = code_.data(), *const m = mean_.data(), *const s = square_.data();
    for (int64_t i = 0; i < count_; ++i) {
      m[i] = kMean * m[i] + (1 - kMean) * gradient[i];
      s[i] = kSquare * s[i] + (1 - kSquare) * gradient[i] * gradient[i];
      z[i] -= rate_ * (m[i] * unbias) / (std::sqrt(s[i] * unbias_square) + kEpsilon);
    }
  }

 private:
  float rate_, mean_share_ = 1, square_share_ = 1;
  TileBuffer code_, mean_, square_;
  int64_t count_;
};

class AnoGan final : public NetworkDetector {
 public:
  explicit AnoGan(const ParamSet& p)
      : NetworkDetector(p, 1),
        latent_(static_cast<int32_t>(p.Int("latent"))),
        hidden1_(static_cast<int32_t>(p.Int("hidden1"))),
        hidden2_(static_cast<int32_t>(p.Int("hidden2"))),
        train_steps_(p.Int("train_steps")),
        search_steps_(p.Int("search_steps")),
        search_rate_(p.Real("search_rate")),
        feature_weight_(p.Real("feature_weight")) {
    standardizes_ = p.Bool("standardize");
  }

  absl::StatusOr<outlier::Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return ExplainTiles(X, "distance to the made row", ctx);
  }

 protected:
  /// Generator, features, head, in the order of the objective; scoring needs no head.
  std::vector<Design> Designs(int32_t d) const override {
    return {{.sizes = {latent_, hidden1_, hidden2_, hidden2_, hidden1_, d}, .hidden = Activation::kTanh},
            {.sizes = {d, hidden1_, hidden2_}, .hidden = Activation::kTanh, .output = Activation::kTanh},
            {.sizes = {hidden2_, kHeadUnits, 1}, .hidden = Activation::kTanh}};
  }
  size_t kept() const override { return 2; }

  absl::Status Prepare(Learning& learning, const Context&) override {
    learning.kind = VEDETTE_NEURAL_GAN;
    learning.options[0] = static_cast<double>(train_steps_);
    const int64_t batches = (learning.rows + batch_size_ - 1) / batch_size_;
    learning.epochs = static_cast<int>((train_steps_ + batches - 1) / batches);
    return absl::OkStatus();
  }

  void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts* parts) const override;
  int64_t grain() const override { return 2 * kTile; }

 private:
  int32_t latent_, hidden1_, hidden2_;
  int64_t train_steps_, search_steps_;
  double search_rate_, feature_weight_;
};

void AnoGan::ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts* parts) const {
  const DenseNetwork &make = networks_[0], &see = networks_[1];
  const int64_t d = see.inputs(), features = see.outputs();
  DenseNetwork::Trace made_trace = make.MakeTrace(), seen_trace = see.MakeTrace();
  const auto widest = std::max({static_cast<int64_t>(latent_), d, make.buffer_width(), see.buffer_width()});
  TileBuffer a(widest), b(widest), row_gradient(d), feature_gradient(features), wanted(features);
  std::copy_n(see.Forward(in, a, b), features * kTile, wanted.data());

  CodeSearch search(latent_, static_cast<float>(search_rate_));
  const auto column_share = static_cast<float>(1.0 / static_cast<double>(d));
  const auto feature_share = static_cast<float>(feature_weight_ / static_cast<double>(features));
  const auto sign = [](float gap, float share) { return gap > 0 ? share : gap < 0 ? -share : 0.0f; };
  std::fill_n(scores, rows, HUGE_VAL);
  for (int64_t step = 0; step < search_steps_; ++step) {
    const float* const made = make.ForwardKeeping(search.code().data(), made_trace);
    const float* const seen = see.ForwardKeeping(made, seen_trace);
    double loss[kTile] = {};
    for (int64_t k = 0; k < features * kTile; ++k) {
      const float gap = seen[k] - wanted.data()[k];
      loss[k % kTile] += static_cast<double>(feature_share) * std::abs(gap);
      feature_gradient.data()[k] = sign(gap, feature_share);
    }
    const float* const through = see.Backward(feature_gradient.data(), seen_trace, a, b);
    for (int64_t k = 0; k < d * kTile; ++k) {
      const float gap = made[k] - in.data()[k];
      loss[k % kTile] += static_cast<double>(column_share) * std::abs(gap);
      row_gradient.data()[k] = sign(gap, column_share) + through[k];
    }
    for (int64_t r = 0; r < rows; ++r) {
      if (!(loss[r] < scores[r])) continue;
      scores[r] = loss[r];
      for (int64_t j = 0; parts != nullptr && j < d; ++j) {
        const int64_t at = j * kTile + r;
        parts->made[at] = made[at];
        parts->contributions[at] = std::abs(static_cast<double>(made[at]) - in.data()[at]) / static_cast<double>(d);
      }
    }
    search.Step(make.Backward(row_gradient.data(), made_trace, a, b));
  }
}

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) {
  const auto size = [&](const char* name) { return static_cast<double>(p.Int(name)); };
  const double d = static_cast<double>(features), h1 = size("hidden1"), h2 = size("hidden2");
  const double weights = h1 * (size("latent") + 2 * d + 3 * h2) + h2 * (h2 + kHeadUnits);
  // A step of the search goes forward and back; a tanh takes as long as 30 multiplications.
  const double row = size("search_steps") * (4 * weights + 30 * (3 * h1 + 3 * h2));
  const outlier::Cost cost = NetworkCost(rows, features, weights, 0, row);
  return cost.PlusFit(size("train_steps") * (1e-5 + 3e-10 * weights * size("batch_size")) +
                      static_cast<double>(rows) * cost.score_seconds_per_row);
}

}  // namespace

extern const outlier::Descriptor k_anogan;
const outlier::Descriptor k_anogan = {
    .name = "anogan",
    .family = "neural",
    .summary =
        "Rows that a generator, learnt against a discriminator, cannot make from any code; scoring searches a code for "
        "each "
        "row, so it is dear.",
    .paper =
        "Schlegl et al., \"Unsupervised anomaly detection with generative adversarial networks to guide marker "
        "discovery\", IPMI 2017",
    .params = kParams,
    .deterministic = false,
    .explains = true,
    .fit_cost = "O(steps d + n d)",
    .score_cost = "O(search d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> {
      return std::make_unique<AnoGan>(params);
    },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
