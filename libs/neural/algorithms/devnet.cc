// DevNet: a network gives normal rows a score near 0 and the few known anomalies one at least `margin` deviations above, learnt
// from batches that are half known anomalies. Pang, Shen, van den Hengel 2019. Rows of unknown label count as normal ones. The
// paper draws its reference scores from a standard normal law; their mean 0 and deviation 1 are used themselves.
#include <algorithm>

#include "base/status.h"
#include "neural/algorithms.h"
#include "neural/gradients.h"
#include "neural/module/abi.h"
#include "neural/network_detector.h"
#include "outlier/gradient_source.h"

namespace vedette::neural {
namespace {

using outlier::Label;
using outlier::ParamSet;
using outlier::ParamSpec;
using outlier::ParamType;

constexpr ParamSpec kParams[] = {
    {.name = "hidden", .default_value = "20", .min = 1, .max = 4096, .summary = "units of the one hidden layer"},
    {.name = "margin", .type = ParamType::kReal, .default_value = "5", .min = 0.1, .max = 1000,
     .summary = "deviations that known anomalies must lie above the others"},
    {.name = "steps_per_epoch", .default_value = "20", .min = 1, .max = 100000, .summary = "batches that make an epoch"},
    {.name = "weight_decay", .type = ParamType::kReal, .default_value = "0.01", .min = 0, .max = 1,
     .summary = "pull of the weights towards 0, against learning the few anomalies by heart"},
    EpochsParam("50"),
    BatchParam("512"),
    RateParam("0.001"),
    kDeviceParam,
    kDeviceIndexParam,
};

class DevNet final : public NetworkDetector, public outlier::GradientSource {
 public:
  explicit DevNet(const ParamSet& p)
      : NetworkDetector(p), hidden_(static_cast<int32_t>(p.Int("hidden"))), margin_(p.Real("margin")),
        steps_(static_cast<double>(p.Int("steps_per_epoch"))), decay_(p.Real("weight_decay")) {}

  absl::Status Fit(MatrixView, const Context&) override {
    return FailedPrecondition("devnet learns from labels: it needs a column that says which rows are known anomalies");
  }
  absl::Status FitLabelled(MatrixView X, std::span<const Label> labels, const Context& ctx) override {
    if (static_cast<int64_t>(labels.size()) != X.rows) return InvalidArgument("{} labels for {} rows", labels.size(), X.rows);
    std::vector<float> odd;
    for (const Label label : labels) odd.push_back(label == Label::kAnomaly ? 1.0f : 0.0f);
    const auto known = std::count(odd.begin(), odd.end(), 1.0f);
    if (known == 0) return InvalidArgument("no row is labelled as an anomaly: devnet needs at least one");
    if (known == X.rows) {
      // One row, or nothing to tell anomalies from: every score is the same.
      only_anomalies_ = true;
    }
    return FitNetworks(X, odd, ctx);
  }
  absl::Status Gradients(MatrixView X, Matrix& gradients, const Context& ctx) const override {
    return GradientsOfTiles(scaling_, X, SlopeOfOutput(networks_[0], 1), gradients, ctx);
  }

 protected:
  std::vector<Design> Designs(int32_t d) const override { return {{.sizes = {d, hidden_, 1}}}; }
  size_t kept() const override { return 1; }
  absl::Status Prepare(Learning& learning, const Context&) override {
    learning.kind = only_anomalies_ ? VEDETTE_NEURAL_SQUARES : VEDETTE_NEURAL_DEVNET;
    learning.options[0] = margin_;
    learning.options[1] = steps_;
    learning.weight_decay = decay_;
    return absl::OkStatus();
  }
  void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts*) const override {
    TileBuffer a = BufferFor(networks_[0]), b = BufferFor(networks_[0]);
    const float* out = networks_[0].Forward(in, a, b);
    std::copy(out, out + rows, scores);
  }

 private:
  int32_t hidden_;
  double margin_, steps_, decay_;
  bool only_anomalies_ = false;
};

outlier::Cost CostOf(const ParamSet& p, int64_t rows, int64_t features) {
  const double weights = static_cast<double>(p.Int("hidden")) * static_cast<double>(features + 1);
  outlier::Cost cost = NetworkCost(rows, features, weights, 0, weights);
  const double steps = static_cast<double>(p.Int("epochs")) * static_cast<double>(p.Int("steps_per_epoch"));
  return cost.PlusFit(steps * (2e-5 + 2e-10 * static_cast<double>(p.Int("batch_size")) * weights) + 2e-8 * static_cast<double>(rows * features));
}

}  // namespace

extern const outlier::Descriptor k_devnet;
const outlier::Descriptor k_devnet = {
    .name = "devnet",
    .family = "neural",
    .summary = "Rows like the few known anomalies, learnt from those labels and all other rows as normal ones; blind to kinds of "
               "anomalies that nobody labelled.",
    .paper = "Pang, Shen, van den Hengel, \"Deep anomaly detection with deviation networks\", KDD 2019",
    .params = kParams,
    .deterministic = false,
    .needs_labels = true,
    .explains = false,
    .fit_cost = "O(epochs d)",
    .score_cost = "O(d)",
    .cost = CostOf,
    .make = [](const ParamSet& params) -> std::unique_ptr<outlier::Detector> { return std::make_unique<DevNet>(params); },
    .default_contamination = 0.05,
};

}  // namespace vedette::neural
