// CBLOF (He, Xu, Deng 2003): k-means clusters are large or small; a row of a large cluster scores its distance to that
// cluster's center, a row of a small one its distance to the nearest large center.
//
// Large are the first clusters, by size, that hold the share alpha of the rows and end where the next is beta times
// smaller; where no place satisfies both, the first that satisfies alpha, then beta (as PyOD). Where none satisfies
// either (PyOD refuses), all clusters are large.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "outlier/cost.h"
#include "outlier/kernels/kmeans.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class Cblof final : public TileDetector {
 public:
  explicit Cblof(const ParamSet& params)
      : alpha_(params.Real("alpha")), beta_(params.Real("beta")), weighted_(params.Bool("use_weights")) {
    options_.clusters = params.Int("n_clusters");
  }

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    ASSIGN_OR_RETURN(const KMeansFit fit, KMeans(rows, n, features(), options_, ctx));
    std::vector<size_t> order(fit.sizes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return fit.sizes[a] > fit.sizes[b]; });
    centers_.clear();
    sizes_.clear();
    for (const size_t c : order) {
      centers_.insert(centers_.end(), fit.centers.begin() + static_cast<int64_t>(c * d()),
                      fit.centers.begin() + static_cast<int64_t>((c + 1) * d()));
      sizes_.push_back(fit.sizes[c]);
    }
    large_ = CountLarge(n);
    search_ = NearestCenter(centers_, sizes_.size(), d());
    return absl::OkStatus();
  }

  int64_t CountLarge(int64_t n) const {
    int64_t by_alpha = 0, by_beta = 0, sum = 0;
    for (size_t i = 1; i < sizes_.size(); ++i) {
      sum += sizes_[i - 1];
      const bool holds = static_cast<double>(sum) >= alpha_ * static_cast<double>(n);
      const bool drops = static_cast<double>(sizes_[i - 1]) >= beta_ * static_cast<double>(sizes_[i]);
      if (holds && drops) return static_cast<int64_t>(i);
      if (holds && by_alpha == 0) by_alpha = static_cast<int64_t>(i);
      if (drops && by_beta == 0) by_beta = static_cast<int64_t>(i);
    }
    return by_alpha > 0 ? by_alpha : (by_beta > 0 ? by_beta : static_cast<int64_t>(sizes_.size()));
  }

  /// The center that x is measured from, and the weight of its cluster.
  const double* CenterOf(std::span<const double> x, double* squared, double* weight) const {
    size_t c = search_.Find(x.data(), squared);
    *weight = weighted_ ? static_cast<double>(sizes_[c]) : 1;
    if (static_cast<int64_t>(c) >= large_) {
      *squared = std::numeric_limits<double>::infinity();
      for (size_t l = 0; l < static_cast<size_t>(large_); ++l) {
        const double distance = SquaredDistance(x.data(), centers_.data() + l * d(), d());
        if (distance < *squared) *squared = distance, c = l;
      }
    }
    return centers_.data() + c * d();
  }
  /// Large clusters come first: the nearest of those is what every row is measured from.
  void ScoreTile(const RowTile& tile, double* scores) const override {
    double nearest[RowTile::kWide], all[RowTile::kWide];
    if (weighted_) search_.FindTile(tile.values, tile.lanes, sizes_.size(), all, nearest);
    search_.FindTile(tile.values, tile.lanes, static_cast<size_t>(large_), scores, nullptr);
    for (int r = 0; r < tile.lanes; ++r) {
      const double weight = weighted_ ? static_cast<double>(sizes_[static_cast<size_t>(nearest[r])]) : 1;
      scores[r] = unit().Unscaled(std::sqrt(scores[r]) * weight);
    }
  }
  bool ExplainRow(std::span<const double> x, std::span<double> parts, std::span<double> expected,
                  double*) const override {
    double squared = 0, weight = 1;
    const double* const center = CenterOf(x, &squared, &weight);
    for (size_t j = 0; j < d(); ++j) {
      const double gap = unit().Unscaled(x[j] - center[j]);
      parts[j] = gap * gap;
      expected[j] = center[j];
    }
    return true;
  }
  bool ExplainTile(const RowTile& tile, const RowParts& out) const override {
    return search_.PartsTile(tile.values, tile.lanes, static_cast<size_t>(large_), unit().unit(), out.contributions,
                             out.expected, out.stride);
  }
  std::string_view space() const override { return "squared distance"; }

  void SaveState(ByteWriter& out) const override {
    out.I64(large_);
    out.Ints(sizes_);
    out.Doubles(centers_);
  }
  void LoadState(ByteReader& in) override {
    large_ = ReadInt(in, "the number of large clusters", 1, 100000);
    sizes_ = in.Ints();
    centers_ = ReadDoubles(in, "the centers", static_cast<int64_t>(sizes_.size()) * features());
    if (!in.ok()) return;
    if (sizes_.empty() || large_ > static_cast<int64_t>(sizes_.size()))
      return in.Fail("there are fewer clusters than large ones");
    for (const double v : centers_) {
      if (!(std::fabs(v) <= RowUnit::kMaxValue)) return in.Fail("a center is out of range");
    }
    search_ = NearestCenter(centers_, sizes_.size(), d());
  }

  double alpha_, beta_;
  bool weighted_;
  KMeansOptions options_;
  int64_t large_ = 1;
  std::vector<int64_t> sizes_;
  std::vector<double> centers_;
  NearestCenter search_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_clusters",
     .type = ParamType::kInt,
     .default_value = "8",
     .min = 1,
     .max = 1000,
     .summary = "Number of clusters of k-means."},
    {.name = "alpha",
     .type = ParamType::kReal,
     .default_value = "0.9",
     .min = 0.5,
     .max = 1,
     .summary = "Share of the rows that the large clusters hold together."},
    {.name = "beta",
     .type = ParamType::kReal,
     .default_value = "5",
     .min = 1,
     .max = 1000,
     .summary = "How many times smaller the first small cluster is than the last large one."},
    {.name = "use_weights",
     .type = ParamType::kBool,
     .default_value = "false",
     .summary =
         "Multiplies the distance by the size of the row's cluster, as the paper does; PyOD does not by default."},
};

}  // namespace

extern const Descriptor k_cblof;
const Descriptor k_cblof = {
    .name = "cblof",
    .family = "proximity",
    .summary =
        "Distance to the nearest large cluster: rows of small clusters count as far from all that is normal, so groups "
        "of "
        "anomalies are found, too. Needs about the right number of clusters.",
    .paper = "Z. He, X. Xu, S. Deng, Discovering cluster-based local outliers, Pattern Recognition Letters, 2003",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "O(n k d), times the rounds, which grow with the rows up to 300",
    .score_cost = "O(k d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_clusters"));
      return PassCost(n, d, 4 + k * LloydPasses(n), 1 + k / 4, 16 * k * static_cast<double>(d + 1));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Cblof>(params); },
};

}  // namespace vedette::outlier
