// Local outlier factor (Breunig, Kriegel, Ng, Sander 2000): how much thinner a row's surroundings are than its
// neighbours'.
//
// lrd(x) = 1 / (mean over the k neighbours y of max(k-distance(y), |x - y|) + 1e-10); LOF(x) = mean of lrd(y) / lrd(x).
// The 1e-10 is scikit-learn's guard for more than k equal rows. As in the paper (definition 4), rows that tie with the
// k-th neighbour are neighbours, too (up to kMaxTies k rows; not where all that tie are equal rows): which of them the
// k first are would be a matter of row order, and scikit-learn, which stops at k, differs there. Training rows leave
// themselves out; a new row is compared with the training rows' densities (novelty scoring). A single row scores 1.
#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "outlier/coalitions.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbor_coalitions.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kGuard = 1e-10;
constexpr int64_t kMaxTies = 5;                      // neighbours with ties, at most, as a multiple of k
constexpr int64_t kMaxNeighbors = int64_t{1} << 32;  // held during a fit, 12 bytes each

class LocalOutlierFactor : public Detector, public CoalitionSource {
 public:
  explicit LocalOutlierFactor(const ParamSet& params)
      : k_(params.Int("n_neighbors")), metric_(Metric::Named(params.Choice("metric"), params.Real("p"))) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override;
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override;
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override;
  std::unique_ptr<CoalitionScorer> Coalitions(const CoalitionRows& rows) const override {
    return CoalitionsOf(index_, rows, k_, kMaxTies * k_, [this](auto distances, std::span<const int32_t> near) {
      return Factor(Density(distances, near), near);
    });
  }
  void Save(ByteWriter& out) const override;
  absl::Status Load(ByteReader& in) override;
  int64_t features() const override { return index_.features(); }

 private:
  /// distances may be shorter than rows: the rest tie with the last.
  double Density(std::span<const double> distances, std::span<const int32_t> rows) const {
    if (rows.empty()) return 1;
    double sum = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      sum += std::max(distances[std::min(i, distances.size() - 1)], k_distance_[rows[i]]);
    }
    return 1 / (sum / static_cast<double>(rows.size()) + kGuard);
  }
  double Factor(double density, std::span<const int32_t> rows) const {
    if (rows.empty()) return 1;
    double sum = 0;
    for (const int32_t row : rows) sum += density_[row] / density;
    return sum / static_cast<double>(rows.size());
  }

  int64_t k_;
  Metric metric_;
  NeighborIndex index_;
  std::vector<double> k_distance_, density_;  // of the training rows
  std::vector<double> training_scores_;
};

absl::Status LocalOutlierFactor::Fit(MatrixView X, const Context& ctx) {
  RETURN_IF_ERROR(index_.Build(X, metric_, ctx));
  const int64_t n = X.rows, k = std::min(k_, n - 1);
  if (n * k > kMaxNeighbors) {
    return InvalidArgument("{} rows with {} neighbours each are too many to hold, the limit is {}", n, k,
                           kMaxNeighbors);
  }
  const auto count = static_cast<size_t>(k);
  std::vector<double> distance(count * static_cast<size_t>(n));
  std::vector<int32_t> neighbor(count * static_cast<size_t>(n));
  std::unordered_map<int64_t, std::vector<int32_t>> tied;  // all neighbours of the rows that have more than k
  std::mutex mutex;
  k_distance_.assign(n, 0);
  density_.assign(n, 1);
  training_scores_.assign(n, 1);
  const auto keep = [&](int64_t row, std::span<const double> distances, std::span<const int32_t> rows) {
    std::copy_n(distances.begin(), std::min(count, distances.size()), distance.begin() + row * k);
    std::copy_n(rows.begin(), std::min(count, rows.size()), neighbor.begin() + row * k);
    if (!distances.empty()) k_distance_[row] = distances.back();
    if (rows.size() <= count) return;
    const std::lock_guard lock(mutex);
    tied[row].assign(rows.begin(), rows.end());
  };
  RETURN_IF_ERROR(index_.OfTrainingRows(k, ctx, keep, kMaxTies * k));
  const auto rows_of = [&](int64_t i) -> std::span<const int32_t> {
    if (const auto it = tied.find(i); it != tied.end()) return it->second;
    return {neighbor.data() + i * k, count};
  };
  RETURN_IF_ERROR(ParallelBlocks(ctx, n, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) density_[i] = Density({distance.data() + i * k, count}, rows_of(i));
  }));
  return ParallelBlocks(ctx, n, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) training_scores_[i] = Factor(density_[i], rows_of(i));
  });
}

absl::Status LocalOutlierFactor::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  return index_.Of(
      X, k_, ctx,
      [&](int64_t row, std::span<const double> distances, std::span<const int32_t> rows) {
        scores[row] = Factor(Density(distances, rows), rows);
      },
      kMaxTies * k_);
}

// The row's factor less 1 (the factor amid an even density), shared out by the features' parts of the distance to the
// neighbours.
absl::StatusOr<Attribution> LocalOutlierFactor::Explain(MatrixView X, const Context& ctx) const {
  const auto factor = [this](std::span<const double> distances, std::span<const int32_t> rows) {
    return Factor(Density(distances, rows), rows);
  };
  absl::StatusOr<Attribution> out = NeighborGaps(
      index_, metric_, k_, X, ctx, {.score = factor, .ties = kMaxTies * k_, .shares_above = 1});
  if (out.ok()) out->space = "local outlier factor above 1";
  return out;
}

void LocalOutlierFactor::Save(ByteWriter& out) const {
  index_.Save(out);
  out.Doubles(k_distance_);
  out.Doubles(density_);
}

absl::Status LocalOutlierFactor::Load(ByteReader& in) {
  RETURN_IF_ERROR(index_.Load(in, metric_));
  k_distance_ = ReadDoubles(in, "the k-distances", index_.rows());
  density_ = ReadDoubles(in, "the densities", index_.rows());
  training_scores_.clear();
  RETURN_IF_ERROR(in.status());
  const auto in_range = [](double most) { return [most](double v) { return v >= 0 && v <= most; }; };
  if (!std::all_of(k_distance_.begin(), k_distance_.end(), in_range(NeighborIndex::kMaxDistance)) ||
      !std::all_of(density_.begin(), density_.end(), in_range(2 / kGuard))) {
    in.Fail("a density or a distance is out of range");
  }
  return in.status();
}

constexpr ParamSpec kParams[] = {
    {.name = "n_neighbors",
     .type = ParamType::kInt,
     .default_value = "20",
     .min = 1,
     .max = 10000,
     .summary = "Number of neighbours k that make up a row's surroundings; the paper advises at least 10."},
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

extern const Descriptor k_lof;
const Descriptor k_lof = {
    .name = "lof",
    .family = "proximity",
    .summary =
        "Rows in thinner surroundings than their neighbours' are anomalous: finds local anomalies beside dense "
        "groups; weak on anomalies that form groups of more than k rows.",
    .paper = "Breunig, Kriegel, Ng, Sander: LOF: Identifying density-based local outliers. SIGMOD 2000",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "O(log n d) for few features, O(n d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      return NeighborCost(n, d, p.Int("n_neighbors"), 2e-8 * static_cast<double>(p.Int("n_neighbors")));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<LocalOutlierFactor>(params);
    },
};

}  // namespace vedette::outlier
