// What detectors that are one or several dense networks share: standardised columns, parameters of the training, scoring in
// tiles (a row's score has the same bits in any batch), and a state that is checked against the design.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "neural/dense_network.h"
#include "neural/module_loader.h"
#include "neural/standardizer.h"
#include "outlier/detector.h"

namespace vedette::neural {

/// Parameters that every one of these algorithms has, for their lists; the defaults differ.
constexpr outlier::ParamSpec EpochsParam(std::string_view value) {
  return {.name = "epochs", .default_value = value, .min = 1, .max = 100000, .summary = "passes over the training rows"};
}
constexpr outlier::ParamSpec BatchParam(std::string_view value) {
  return {.name = "batch_size", .default_value = value, .min = 1, .max = 1 << 20, .summary = "rows a step of the optimiser"};
}
constexpr outlier::ParamSpec RateParam(std::string_view value) {
  return {.name = "learning_rate", .type = outlier::ParamType::kReal, .default_value = value, .min = 1e-7, .max = 0.1,
          .summary = "step size of the optimiser"};
}
constexpr outlier::ParamSpec kDeviceParam = {
    .name = "device", .type = outlier::ParamType::kChoice, .default_value = "auto", .choices = "auto|cpu|cuda",
    .summary = "where to fit; auto: a CUDA device when there is one. Scores of fits on different devices differ slightly"};
constexpr outlier::ParamSpec kDeviceIndexParam = {
    .name = "device_index", .default_value = "0", .min = 0, .max = 127, .summary = "number of the CUDA device to fit on"};
Device DeviceFrom(const outlier::ParamSet& params);

/// For `Descriptor::cost`: `weights` of the networks passed `passes` times forward and back a row, `row_weights` to score.
outlier::Cost NetworkCost(int64_t rows, int64_t features, double weights, double passes, double row_weights);

class NetworkDetector : public outlier::Detector {
 public:
  /// `epochs`: of algorithms that have no parameter of that name.
  explicit NetworkDetector(const outlier::ParamSet& params, int64_t epochs = 0)
      : epochs_(static_cast<int>(epochs > 0 ? epochs : params.Int("epochs"))),
        batch_size_(params.Int("batch_size")),
        learning_rate_(params.Real("learning_rate")),
        device_(DeviceFrom(params)) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override { return FitNetworks(X, {}, ctx); }
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return ScoreTiles(X, scores, nullptr, ctx);
  }
  void Save(ByteWriter& out) const override;
  absl::Status Load(ByteReader& in) override;
  int64_t features() const override { return scaling_.features(); }

 protected:
  struct Design {
    std::vector<int32_t> sizes;
    Activation hidden = Activation::kRelu, output = Activation::kLinear;
    bool use_bias = true, fixed = false;
  };
  /// Networks in the order of the objective; the first kept() of them are the state.
  virtual std::vector<Design> Designs(int32_t features) const = 0;
  virtual size_t kept() const = 0;
  /// Rows a piece, a multiple of the tile: about a millisecond of scoring, so that a stop is seen in time.
  virtual int64_t grain() const { return 8 * DenseNetwork::kTileRows; }
  /// Numbers beside the networks that are part of the state.
  virtual size_t extras() const { return 0; }
  /// Kind and options of the objective; may change networks_ (their start) and extras_. `inputs`: rows x features.
  virtual absl::Status Prepare(Learning& learning, const Context& ctx) = 0;
  /// After the training, or after Load: what scoring needs beyond networks_ and extras_.
  virtual void Finish() {}
  /// Scores of a tile of standardised rows; parts[feature * kTileRows + row] and made[...] when not null.
  struct Parts {
    double* contributions;
    float* made;
  };
  virtual void ScoreTile(const TileBuffer& in, int64_t rows, double* scores, const Parts* parts) const = 0;

  absl::Status FitNetworks(MatrixView X, std::span<const float> targets, const Context& ctx);
  absl::Status ScoreTiles(MatrixView X, std::span<double> scores, outlier::Attribution* parts, const Context& ctx) const;
  absl::StatusOr<outlier::Attribution> ExplainTiles(MatrixView X, std::string_view space, const Context& ctx) const;
  static TileBuffer BufferFor(const DenseNetwork& network) { return TileBuffer(network.buffer_width()); }

  int epochs_;
  int64_t batch_size_;
  double learning_rate_;
  Device device_;
  bool standardizes_ = true;  ///< false: columns as they are, cut at Standardizer::kLimit
  Standardizer scaling_;
  std::vector<DenseNetwork> networks_;
  std::vector<float> extras_;
  std::vector<float> targets_;  ///< of the objective, while fitting

 private:
  absl::StatusOr<std::vector<float>> Inputs(MatrixView X, const Context& ctx) const;
  std::vector<double> training_scores_;
};

}  // namespace vedette::neural
