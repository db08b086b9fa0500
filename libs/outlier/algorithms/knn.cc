// Distance to the k nearest neighbours: the largest (Ramaswamy, Rastogi, Shim 2000), their mean or median (Angiulli,
// Pizzuti 2002). Training rows leave themselves out; a new row that equals a training row has it as its nearest
// neighbour. With n <= k rows, all others are neighbours; a single row scores 0.
#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"

namespace vedette::outlier {
namespace {

class NearestNeighbors : public Detector {
 public:
  explicit NearestNeighbors(const ParamSet& params)
      : k_(params.Int("n_neighbors")),
        method_(params.Choice("method")),
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
    return NeighborGaps(index_, metric_, k_, X, ctx);
  }

  void Save(ByteWriter& out) const override { index_.Save(out); }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    return index_.Load(in, metric_);
  }
  int64_t features() const override { return index_.features(); }

 private:
  double ScoreOf(std::span<const double> distances) const {
    if (distances.empty()) return 0;
    if (method_ == "largest") return index_.Unscaled(distances.back());
    if (method_ == "median") {
      const size_t n = distances.size();
      return index_.Unscaled((distances[(n - 1) / 2] + distances[n / 2]) / 2);
    }
    double sum = 0;
    for (const double d : distances) sum += d;
    return index_.Unscaled(sum / static_cast<double>(distances.size()));
  }

  int64_t k_;
  std::string method_;
  Metric metric_;
  NeighborIndex index_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_neighbors",
     .type = ParamType::kInt,
     .default_value = "5",
     .min = 1,
     .max = 10000,
     .summary = "Number of neighbours k; larger than the largest group of anomalies that resemble each other."},
    {.name = "method",
     .type = ParamType::kChoice,
     .default_value = "largest",
     .choices = "largest|mean|median",
     .summary = "Which of the k distances is the score: the largest, their mean or their median."},
    {.name = "metric",
     .type = ParamType::kChoice,
     .default_value = "euclidean",
     .choices = "euclidean|manhattan|chebyshev|minkowski",
     .summary = "How far two rows are apart."},
    {.name = "p",
     .type = ParamType::kReal,
     .default_value = "2",
     .min = 1,
     .max = 10,
     .summary = "Power of the minkowski metric; not used by the others."},
};

}  // namespace

extern const Descriptor k_knn;
const Descriptor k_knn = {
    .name = "knn",
    .family = "proximity",
    .summary =
        "Rows far from their nearest neighbours are anomalous: strong on global and local anomalies alike; needs "
        "comparable scales, and misses groups of more than k similar anomalies.",
    .paper =
        "Ramaswamy, Rastogi, Shim: Efficient algorithms for mining outliers from large data sets. SIGMOD 2000; "
        "Angiulli, "
        "Pizzuti: Fast outlier detection in high dimensional spaces. PKDD 2002",
    .params = kParams,
    .deterministic = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "O(log n d) for few features, O(n d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      return NeighborCost(n, d, p.Int("n_neighbors"), 1e-7);
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<NearestNeighbors>(params);
    },
};

}  // namespace vedette::outlier
