// Distance to the k nearest neighbours: the largest (Ramaswamy, Rastogi, Shim 2000), their mean or median (Angiulli,
// Pizzuti 2002): the detector behind knn, knn_mean and knn_median. Training rows leave themselves out; a new row that
// equals a training row has it as its nearest neighbour. With n <= k rows, all others are neighbours; a single row
// scores 0.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "outlier/coalitions.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbor_coalitions.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"

namespace vedette::outlier {

class NearestNeighbors : public Detector, public CoalitionSource {
 public:
  /// `method` is one of largest, mean, median.
  NearestNeighbors(const ParamSet& params, std::string_view method)
      : k_(params.Int("n_neighbors")),
        method_(method == "largest"  ? Method::kLargest
                : method == "median" ? Method::kMedian
                                     : Method::kMean),
        metric_(Metric::Named(params.Choice("metric"), params.Real("p"))) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(index_.Build(X, metric_, ctx));
    training_scores_.assign(X.rows, 0);
    return index_.OfTrainingRows(k_, ctx, [this](int64_t row, std::span<const double> distances, auto) {
      training_scores_[row] = ScoreOf(distances);
    });
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return index_.Of(X, k_, ctx,
                     [&](int64_t row, std::span<const double> distances, auto) { scores[row] = ScoreOf(distances); });
  }

  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return NeighborGaps(index_, metric_, k_, X, ctx,
                        {.score = [this](std::span<const double> distances, auto) { return ScoreOf(distances); }});
  }

  std::unique_ptr<CoalitionScorer> Coalitions(const CoalitionRows& rows) const override {
    return CoalitionsOf(index_, rows, k_, 0,
                        [this](std::span<const double> distances, auto) { return ScoreOf(distances); });
  }

  void Save(ByteWriter& out) const override { index_.Save(out); }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    return index_.Load(in, metric_);
  }
  int64_t features() const override { return index_.features(); }

 private:
  enum class Method : uint8_t { kLargest, kMean, kMedian };

  double ScoreOf(std::span<const double> distances) const {
    if (distances.empty()) return 0;
    if (method_ == Method::kLargest) return index_.Unscaled(distances.back());
    if (method_ == Method::kMedian) {
      const size_t n = distances.size();
      return index_.Unscaled((distances[(n - 1) / 2] + distances[n / 2]) / 2);
    }
    double sum = 0;
    for (const double d : distances) sum += d;
    return index_.Unscaled(sum / static_cast<double>(distances.size()));
  }

  int64_t k_;
  Method method_;
  Metric metric_;
  NeighborIndex index_;
  std::vector<double> training_scores_;
};

inline constexpr ParamSpec kNeighborCountParam = {
    .name = "n_neighbors",
    .type = ParamType::kInt,
    .default_value = "5",
    .min = 1,
    .max = 10000,
    .summary = "Number of neighbours k; larger than the largest group of anomalies that resemble each other."};
inline constexpr ParamSpec kMetricParam = {.name = "metric",
                                           .type = ParamType::kChoice,
                                           .default_value = "euclidean",
                                           .choices = "euclidean|manhattan|chebyshev|minkowski",
                                           .summary = "How far two rows are apart."};
inline constexpr ParamSpec kPowerParam = {.name = "p",
                                          .type = ParamType::kReal,
                                          .default_value = "2",
                                          .min = 1,
                                          .max = 10,
                                          .summary = "Power of the minkowski metric; not used by the others."};

}  // namespace vedette::outlier
