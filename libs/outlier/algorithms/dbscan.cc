// DBSCAN as a detector (Ester et al. 1996): rows with at least min_samples others within eps are core rows; the score is the
// distance to the nearest core row, in units of eps: up to 1 within a cluster, above it noise. A core row scores how near
// its min_samples-th neighbour is, so that the inside of clusters is ordered, too.
#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kAutoQuantile = 0.9;

class Dbscan final : public Detector {
 public:
  explicit Dbscan(const ParamSet& params) : eps_(params.Real("eps")), least_(params.Int("min_samples")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    NeighborIndex all;
    RETURN_IF_ERROR(all.Build(X, {}, ctx));
    const auto n = static_cast<size_t>(X.rows);
    std::vector<double> reach(n, 0);
    RETURN_IF_ERROR(all.OfTrainingRows(least_, ctx, [&](int64_t row, std::span<const double> distances, auto) {
      if (!distances.empty()) reach[static_cast<size_t>(row)] = all.Unscaled(distances.back());
    }));
    radius_ = eps_ > 0 ? eps_ : AutoRadius(reach);
    std::vector<int64_t> core;
    for (size_t i = 0; i < n; ++i) {
      if (reach[i] <= radius_) core.push_back(static_cast<int64_t>(i));
    }
    if (core.empty()) return InvalidArgument("dbscan: no row has {} others within eps {}; give a larger eps, or eps=auto", least_, radius_);
    Matrix cores(static_cast<int64_t>(core.size()), X.cols);
    for (int64_t j = 0; j < X.cols; ++j) {
      for (size_t c = 0; c < core.size(); ++c) cores(static_cast<int64_t>(c), j) = X(core[c], j);
    }
    RETURN_IF_ERROR(cores_.Build(cores, {}, ctx));
    reach_.clear();
    for (const int64_t i : core) reach_.push_back(reach[static_cast<size_t>(i)]);
    training_scores_.resize(n);
    return Score(X, training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    return cores_.Of(X, 1, ctx, [&](int64_t row, std::span<const double> distances, std::span<const int32_t> rows) {
      scores[static_cast<size_t>(row)] = ScoreAt(distances, rows);
    });
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return NeighborGaps(cores_, {}, least_, X, ctx,
                        {.score = [this](std::span<const double> distances, std::span<const int32_t> rows) {
                          return ScoreAt(distances, rows);
                        }});
  }

  void Save(ByteWriter& out) const override {
    cores_.Save(out);
    out.F64(radius_);
    out.Doubles(reach_);
  }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    RETURN_IF_ERROR(cores_.Load(in, {}));
    radius_ = ReadFinite(in, "eps");
    reach_ = ReadDoubles(in, "the core rows' reaches", cores_.rows());
    if (in.ok() && !(radius_ >= 0)) in.Fail("eps is negative");
    for (const double r : reach_) {
      if (!(r >= 0)) in.Fail("a reach is negative");
    }
    return in.status();
  }
  int64_t features() const override { return cores_.features(); }

 private:
  /// By the nearest core rows.
  double ScoreAt(std::span<const double> distances, std::span<const int32_t> rows) const {
    const double distance = cores_.Unscaled(distances[0]);
    // At a core row's own place its own reach is what is known of the place.
    const double at = distance > 0 ? distance : reach_[static_cast<size_t>(rows[0])];
    return radius_ > 0 ? std::min(at / radius_, 1e300) : (at > 0 ? 1e300 : 0);
  }
  /// Nine tenths of the rows are core rows.
  static double AutoRadius(std::vector<double> reach) {
    const auto at = static_cast<int64_t>(kAutoQuantile * static_cast<double>(reach.size() - 1));
    std::nth_element(reach.begin(), reach.begin() + at, reach.end());
    return reach[static_cast<size_t>(at)];
  }

  double eps_, radius_ = 0;
  int64_t least_;
  NeighborIndex cores_;
  std::vector<double> reach_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "eps",
     .type = ParamType::kReal,
     .default_value = "auto",
     .min = 0,
     .max = 1e300,
     .choices = "auto=0",
     .summary = "How near others must be, in the units of the columns; auto makes nine tenths of the rows core rows."},
    {.name = "min_samples",
     .type = ParamType::kInt,
     .default_value = "5",
     .min = 1,
     .max = 10000,
     .summary = "Others within eps that make a row a core row; more than the largest group of anomalies that resemble each other."},
};

}  // namespace

extern const Descriptor k_dbscan;
const Descriptor k_dbscan = {
    .name = "dbscan",
    .family = "proximity",
    .summary = "Distance to the nearest row that lies amid others: clusters of any shape are normal, what belongs to none is noise. One "
               "radius for all: weak where clusters differ in density.",
    .paper = "M. Ester, H.-P. Kriegel, J. Sander, X. Xu, A density-based algorithm for discovering clusters, KDD, 1996",
    .params = kParams,
    .deterministic = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "O(log n d) for few features, O(n d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const Cost one = NeighborCost(n, d, p.Int("min_samples"), 1e-7);
      return one.PlusFit(one.fit_seconds);
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Dbscan>(params); },
};

}  // namespace vedette::outlier
