// Angle-based outlier detection, the fast variant over neighbours (Kriegel, Schubert, Zimek 2008): the variance over
// pairs of neighbours of <a, b> / (|a|^2 |b|^2), a and b the ways to them, negated: where all neighbours lie in one
// direction, the variance is small and the row is anomalous.
//
// As PyOD: a training row is one of its own k neighbours, and rows at its own place give no direction. Where that
// leaves fewer than two pairs (PyOD answers NaN or 0, its highest), the k nearest rows at other places are taken; a row
// that about a thousand others are equal to scores lowest.
#include <algorithm>
#include <cmath>
#include <memory>

#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kMostEqual = 998;
constexpr double kLowest = -1e300;

class Abod final : public Detector {
 public:
  explicit Abod(const ParamSet& params) : k_(params.Int("n_neighbors")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(Prepare(X, ctx));
    training_scores_.assign(static_cast<size_t>(X.rows), kLowest);
    std::vector<int64_t> open(static_cast<size_t>(X.rows), 0);
    RETURN_IF_ERROR(
        index_.OfTrainingRows(std::max<int64_t>(1, k_ - 1), ctx, [&](int64_t row, auto, std::span<const int32_t> rows) {
          const auto i = static_cast<size_t>(row);
          open[i] = !ScoreOf(rows_.data() + i * d_, rows, static_cast<size_t>(k_), &training_scores_[i]);
        }));
    return Widen(X, open, training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    std::vector<int64_t> open(static_cast<size_t>(X.rows), 0);
    RETURN_IF_ERROR(index_.Of(X, k_, ctx, [&](int64_t row, auto, std::span<const int32_t> rows) {
      std::vector<double> x(d_);
      unit_.Read(X, row, x.data());
      open[static_cast<size_t>(row)] =
          !ScoreOf(x.data(), rows, static_cast<size_t>(k_), &scores[static_cast<size_t>(row)]);
    }));
    return Widen(X, open, scores, ctx);
  }

  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return NeighborGaps(index_, {}, k_, X, ctx);
  }

  void Save(ByteWriter& out) const override { index_.Save(out); }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    RETURN_IF_ERROR(index_.Load(in, {}));
    Matrix X(index_.rows(), index_.features());
    for (int64_t j = 0; j < X.cols(); ++j) {
      for (int64_t i = 0; i < X.rows(); ++i) X(i, j) = index_.Value(i, j);
    }
    return Take(X, {});
  }
  int64_t features() const override { return index_.features(); }

 private:
  absl::Status Prepare(MatrixView X, const Context& ctx) {
    RETURN_IF_ERROR(index_.Build(X, {}, ctx));
    return Take(X, ctx);
  }
  absl::Status Take(MatrixView X, const Context& ctx) {
    RETURN_IF_ERROR(unit_.Fit(X, ctx));
    ASSIGN_OR_RETURN(rows_, unit_.ReadAll(X, ctx));
    d_ = static_cast<size_t>(X.cols);
    return IndexPlaces(X, ctx);
  }

  /// An index of the distinct rows, if so many are equal that a search among all rows may find too few others.
  absl::Status IndexPlaces(MatrixView X, const Context& ctx) {
    ASSIGN_OR_RETURN(equal_, UniqueRows::Of(X, 1, ctx));
    size_t most = 0;
    for (int32_t p = 0; p < equal_.locations(); ++p) most = std::max(most, equal_.members(p).size());
    places_.reset();
    if (static_cast<int64_t>(most) < k_ - 2) {
      equal_ = {};
      return absl::OkStatus();
    }
    Matrix distinct(equal_.locations(), X.cols);
    for (int64_t j = 0; j < distinct.cols(); ++j) {
      for (int32_t p = 0; p < equal_.locations(); ++p) distinct(p, j) = X(equal_.members(p)[0], j);
    }
    places_ = std::make_unique<NeighborIndex>();
    return places_->Build(distinct, {}, ctx);
  }

  /// False when fewer than two pairs of `rows` give an angle; at most `most` places are used.
  bool ScoreOf(const double* x, std::span<const int32_t> rows, size_t most, double* score) const {
    static thread_local std::vector<double> way, norm;  // for every row: allocating them anew would be half of the cost
    way.clear();
    norm.clear();
    for (const int32_t row : rows) {
      const double* const y = rows_.data() + static_cast<size_t>(row) * d_;
      double square = 0;
      for (size_t j = 0; j < d_; ++j) square += (y[j] - x[j]) * (y[j] - x[j]);
      if (!(square > 0) || norm.size() == most) continue;
      norm.push_back(square);
      for (size_t j = 0; j < d_; ++j) way.push_back(y[j] - x[j]);
    }
    if (norm.size() < 3) {
      *score = kLowest;
      return false;
    }
    double count = 0, mean = 0, square = 0;
    for (size_t a = 0; a < norm.size(); ++a) {
      for (size_t b = a + 1; b < norm.size(); ++b) {
        double dot = 0;
        for (size_t j = 0; j < d_; ++j) dot += way[a * d_ + j] * way[b * d_ + j];
        // Welford's update: exact enough for variances far below the squared mean.
        const double value = std::clamp(dot / norm[a] / norm[b], -1e140, 1e140), step = value - mean;
        count += 1;
        mean += step / count;
        square += step * (value - mean);
      }
    }
    // In the data's own units: the value has the dimension of 1 / length^2.
    const double scale = unit_.unit() * unit_.unit();
    *score = std::max(-(square / count) * scale * scale, kLowest);
    if (std::isnan(*score)) *score = kLowest;
    return true;
  }

  /// Rows without angles: from the k nearest rows at other places. Equal rows are looked at once.
  absl::Status Widen(MatrixView X, const std::vector<int64_t>& open, std::span<double> scores,
                     const Context& ctx) const {
    std::vector<int64_t> rows;
    for (size_t i = 0; i < open.size(); ++i) {
      if (open[i] != 0) rows.push_back(static_cast<int64_t>(i));
    }
    if (rows.empty() || places_ == nullptr) return absl::OkStatus();
    Matrix asked(static_cast<int64_t>(rows.size()), X.cols);
    for (int64_t j = 0; j < X.cols; ++j) {
      for (size_t r = 0; r < rows.size(); ++r) asked(static_cast<int64_t>(r), j) = X(rows[r], j);
    }
    ASSIGN_OR_RETURN(const UniqueRows asked_once, UniqueRows::Of(asked, 1, ctx));
    Matrix queries(asked_once.locations(), X.cols);
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int32_t q = 0; q < asked_once.locations(); ++q) queries(q, j) = asked(asked_once.members(q)[0], j);
    }
    // One place may be the row's own, and one so near that the square of its distance is 0. Places at the same distance
    // are all looked at: of equally near rows the first are taken, as among all rows.
    const auto visit = [&](int64_t q, std::span<const double> distances, std::span<const int32_t> near) {
      std::vector<double> x(d_);
      unit_.Read(queries, q, x.data());
      std::vector<std::pair<double, int32_t>> others;
      bool crowded = false;
      for (size_t p = 0; p < near.size(); ++p) {
        const std::span<const int32_t> members = equal_.members(near[p]);
        const bool here = SquaredDistance(x.data(), rows_.data() + static_cast<size_t>(members[0]) * d_, d_) == 0;
        crowded |= here && static_cast<int64_t>(members.size()) >= kMostEqual;
        for (size_t m = 0; m < std::min(members.size(), static_cast<size_t>(k_)) && !here; ++m) {
          others.emplace_back(distances[std::min(p, distances.size() - 1)], members[m]);
        }
      }
      std::sort(others.begin(), others.end());
      std::vector<int32_t> first;
      for (const auto& [distance, row] : others) first.push_back(row);
      double score = kLowest;
      if (!crowded) (void)ScoreOf(x.data(), first, static_cast<size_t>(k_), &score);
      for (const int32_t r : asked_once.members(q)) scores[static_cast<size_t>(rows[static_cast<size_t>(r)])] = score;
    };
    return places_->Of(queries, k_ + 2, ctx, visit, 40 * k_);
  }

  int64_t k_;
  NeighborIndex index_;
  UniqueRows equal_;                       ///< derived: the distinct rows, only where many are equal
  std::unique_ptr<NeighborIndex> places_;  ///< derived: an index of them
  RowUnit unit_;
  std::vector<double> rows_;
  size_t d_ = 0;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_neighbors",
     .type = ParamType::kInt,
     .default_value = "5",
     .min = 4,
     .max = 200,
     .summary = "Number of neighbours (a training row itself is one); the pairs of them are looked at, so the cost "
                "grows with the square."},
};

}  // namespace

extern const Descriptor k_abod;
const Descriptor k_abod = {
    .name = "abod",
    .family = "probabilistic",
    .summary =
        "How little the directions to a row's neighbours differ: rows at the border of all data stand out, also in "
        "many "
        "columns. Needs comparable scales; weak inside a cluster.",
    .paper = "H.-P. Kriegel, M. Schubert, A. Zimek, Angle-based outlier detection in high-dimensional data, KDD, 2008",
    .params = kParams,
    .deterministic = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many, + O(n k^2 d)",
    .score_cost = "O(log n d) for few features, O(n d) for many, + O(k^2 d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_neighbors"));
      return NeighborCost(n, d, p.Int("n_neighbors"), 2e-7 + 1e-9 * k * k * static_cast<double>(d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Abod>(params); },
};

}  // namespace vedette::outlier
