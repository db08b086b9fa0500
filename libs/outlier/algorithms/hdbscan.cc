// Outlier scores of the density hierarchy: HDBSCAN's GLOSH (Campello, Moulavi, Sander 2013; Campello et al. 2015). A row is
// compared with the densest part of the last cluster that it belongs to: 1 - (smallest radius at which anything of that
// cluster lives) / (radius at which the row leaves it), in [0, 1]. Where rows repeat, radii of 0 do not count as the smallest:
// every other row would score 1.
//
// A new row joins the training row that it reaches at the smallest radius, among its nearest ones: it leaves the hierarchy with
// that row, or earlier, where it is farther off. (PyOD scores 1 less the membership, and means of neighbours for new rows.)
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/density_hierarchy.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class Hdbscan final : public Detector {
 public:
  explicit Hdbscan(const ParamSet& params)
      : least_(params.Int("min_cluster_size")), samples_(params.Int("min_samples") > 0 ? params.Int("min_samples") : least_) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(index_.Build(X, {}, ctx));
    core_.assign(static_cast<size_t>(X.rows), 0);
    if (samples_ > 1) {
      // A row is the first of its own samples.
      RETURN_IF_ERROR(index_.OfTrainingRows(samples_ - 1, ctx, [&](int64_t row, std::span<const double> distances, auto) {
        if (!distances.empty()) core_[static_cast<size_t>(row)] = distances.back();
      }));
    }
    std::vector<double> rows(static_cast<size_t>(X.rows * X.cols));
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = 0; i < X.rows; ++i) rows[static_cast<size_t>(i * X.cols + j)] = index_.Value(i, j) * index_.unit();
    }
    ASSIGN_OR_RETURN(std::vector<DensityEdge> edges, ReachabilityTree(rows, X.cols, core_, ctx));
    for (DensityEdge& e : edges) e.radius = std::min(e.radius, NeighborIndex::kMaxDistance);
    hierarchy_ = HierarchyOf(std::move(edges), X.rows, least_);
    training_scores_.resize(core_.size());
    for (size_t i = 0; i < core_.size(); ++i) training_scores_[i] = ScoreAt(hierarchy_.cluster[i], hierarchy_.leaves[i]);
    return ctx.Check();
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    return index_.Of(X, 2 * samples_, ctx, [&](int64_t row, std::span<const double> distances, std::span<const int32_t> rows) {
      scores[static_cast<size_t>(row)] = ScoreAmid(distances, rows);
    });
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return NeighborGaps(index_, {}, samples_, X, ctx,
                        {.score = [this](std::span<const double> distances,
                                         std::span<const int32_t> rows) { return ScoreAmid(distances, rows); },
                         .seen = 2 * samples_});
  }

  void Save(ByteWriter& out) const override {
    index_.Save(out);
    out.Doubles(core_);
    out.I32s(hierarchy_.cluster);
    out.Doubles(hierarchy_.leaves);
    out.I64(static_cast<int64_t>(hierarchy_.clusters.size()));
    for (const DensityCluster& c : hierarchy_.clusters) {
      out.I64(c.parent);
      out.F64(c.birth);
      out.F64(c.densest);
    }
  }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    RETURN_IF_ERROR(index_.Load(in, {}));
    const int64_t n = index_.rows();
    core_ = ReadDoubles(in, "the core distances", n);
    hierarchy_.cluster = in.I32s();
    hierarchy_.leaves = ReadDoubles(in, "the rows' radii", n);
    const int64_t count = ReadInt(in, "the number of clusters", 1, n);
    RETURN_IF_ERROR(in.status());
    if (static_cast<int64_t>(hierarchy_.cluster.size()) != n) in.Fail("the number of rows' clusters is wrong");
    for (const int32_t c : hierarchy_.cluster) {
      if (c < 0 || c >= count) in.Fail("a row's cluster is not there");
    }
    for (size_t i = 0; in.ok() && i < core_.size(); ++i) {
      if (!(core_[i] >= 0 && hierarchy_.leaves[i] >= 0)) in.Fail("a radius is negative");
    }
    hierarchy_.clusters.clear();
    for (int64_t c = 0; c < count && in.ok(); ++c) {
      DensityCluster cluster;
      cluster.parent = static_cast<int32_t>(ReadInt(in, "a cluster's parent", c == 0 ? -1 : 0, c - 1));
      cluster.birth = ReadFinite(in, "a cluster's birth");
      cluster.densest = ReadFinite(in, "a cluster's smallest radius");
      if (!(cluster.birth >= 0 && cluster.densest >= 0)) in.Fail("a cluster's radius is negative");
      hierarchy_.clusters.push_back(cluster);
    }
    return in.status();
  }
  int64_t features() const override { return index_.features(); }

 private:
  /// By the nearest 2 samples_ training rows.
  double ScoreAmid(std::span<const double> distances, std::span<const int32_t> rows) const {
    const auto samples = std::min(static_cast<size_t>(samples_), distances.size() + 1);
    const double core = samples > 1 ? distances[samples - 2] : 0;
    double radius = std::numeric_limits<double>::infinity();
    size_t nearest = 0;
    for (size_t k = 0; k < rows.size(); ++k) {
      const double reach = std::max({distances[k], core, core_[static_cast<size_t>(rows[k])]});
      if (reach < radius) radius = reach, nearest = static_cast<size_t>(rows[k]);
    }
    return ScoreAt(hierarchy_.cluster[nearest], std::max(radius, hierarchy_.leaves[nearest]));
  }
  /// Of a row that hangs together with `cluster` down to `radius`.
  double ScoreAt(int32_t cluster, double radius) const {
    const auto at = [this](int32_t c) -> const DensityCluster& { return hierarchy_.clusters[static_cast<size_t>(c)]; };
    while (at(cluster).parent >= 0 && radius >= at(cluster).birth) cluster = at(cluster).parent;
    return radius > 0 ? std::max(0.0, 1 - at(cluster).densest / radius) : 0;
  }

  int64_t least_, samples_;
  NeighborIndex index_;
  std::vector<double> core_;
  DensityHierarchy hierarchy_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "min_cluster_size",
     .type = ParamType::kInt,
     .default_value = "5",
     .min = 2,
     .max = 10000,
     .summary = "Rows that make a cluster; more than the largest group of anomalies that resemble each other."},
    {.name = "min_samples",
     .type = ParamType::kInt,
     .default_value = "auto",
     .min = 0,
     .max = 10000,
     .choices = "auto=0",
     .summary = "Rows, itself included, whose reach is a row's density; auto takes min_cluster_size. More smooths the hierarchy."},
};

}  // namespace

extern const Descriptor k_hdbscan;
const Descriptor k_hdbscan = {
    .name = "hdbscan",
    .family = "proximity",
    .summary = "How much thinner a row's place is than the densest part of its cluster, over clusters of any shape and density (GLOSH): "
               "finds rows beside clusters and between them. Quadratic; needs comparable scales.",
    .paper = "R. J. G. B. Campello, D. Moulavi, A. Zimek, J. Sander, Hierarchical density estimates for data clustering, visualization, "
             "and outlier detection, TKDD, 2015",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n^2 d)",
    .score_cost = "O(log n d) for few features, O(n d) for many",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double rows = static_cast<double>(n);
      Cost one = NeighborCost(n, d, 2 * p.Int("min_cluster_size"), 2e-7);
      one.fit_bytes += 8 * rows * static_cast<double>(2 * d + 16);
      one.model_bytes += 20 * rows;
      return one.PlusFit(rows * rows * (1e-9 + 1.5e-10 * static_cast<double>(d)));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Hdbscan>(params); },
};

}  // namespace vedette::outlier
