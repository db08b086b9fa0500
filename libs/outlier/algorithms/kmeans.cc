// Distance to the nearest center of a k-means clustering. Clusters of very few rows are no centers to be near to: a
// lone outlier gets a cluster of its own.
#include "outlier/kernels/kmeans.h"

#include <cmath>

#include "outlier/cost.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class KMeansDistance final : public TileDetector {
 public:
  explicit KMeansDistance(const ParamSet& params) : least_share_(params.Real("min_cluster_share")) {
    options_.clusters = params.Int("n_clusters");
  }

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    ASSIGN_OR_RETURN(KMeansFit fit, KMeans(rows, n, features(), options_, ctx));
    const double least = std::max(2.0, least_share_ * static_cast<double>(n));
    centers_.clear();
    for (size_t c = 0; c < fit.sizes.size(); ++c) {
      if (static_cast<double>(fit.sizes[c]) < least) continue;
      centers_.insert(centers_.end(), fit.centers.begin() + static_cast<int64_t>(c * d()),
                      fit.centers.begin() + static_cast<int64_t>((c + 1) * d()));
    }
    if (centers_.empty()) centers_ = std::move(fit.centers);
    search_ = NearestCenter(centers_, centers_.size() / d(), d());
    return absl::OkStatus();
  }
  void ScoreTile(const RowTile& tile, double* scores) const override {
    search_.FindTile(tile.values, tile.lanes, search_.clusters(), scores, nullptr);
    for (int r = 0; r < tile.lanes; ++r) scores[r] = unit().Unscaled(std::sqrt(scores[r]));
  }
  bool ExplainRow(std::span<const double> x, std::span<double> parts, std::span<double> expected,
                  double*) const override {
    double squared = 0;
    const double* const center = centers_.data() + search_.Find(x.data(), &squared) * d();
    for (size_t j = 0; j < d(); ++j) {
      const double gap = unit().Unscaled(x[j] - center[j]);
      parts[j] = gap * gap;
      expected[j] = center[j];
    }
    return true;
  }
  bool ExplainTile(const RowTile& tile, const RowParts& out) const override {
    return search_.PartsTile(tile.values, tile.lanes, search_.clusters(), unit().unit(), out.contributions,
                             out.expected, out.stride);
  }
  std::string_view space() const override { return "squared distance"; }
  void SaveState(ByteWriter& out) const override { out.Doubles(centers_); }
  void LoadState(ByteReader& in) override {
    centers_ = in.Doubles();
    if (!in.ok()) return;
    if (centers_.empty() || centers_.size() % d() != 0) return in.Fail("the centers are not whole rows");
    for (const double v : centers_) {
      if (!(std::fabs(v) <= RowUnit::kMaxValue)) return in.Fail("a center is out of range");
    }
    search_ = NearestCenter(centers_, centers_.size() / d(), d());
  }

  double least_share_;
  KMeansOptions options_;
  std::vector<double> centers_;
  NearestCenter search_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_clusters",
     .type = ParamType::kInt,
     .default_value = "8",
     .min = 1,
     .max = 1000,
     .summary = "Number of clusters: about as many as the normal rows have groups."},
    {.name = "min_cluster_share",
     .type = ParamType::kReal,
     .default_value = "0.01",
     .min = 0,
     .max = 0.5,
     .summary = "Smaller clusters (share of all rows; always those of one row) do not count as places to be near to."},
};

}  // namespace

extern const Descriptor k_kmeans;
const Descriptor k_kmeans = {
    .name = "kmeans",
    .family = "proximity",
    .summary =
        "Distance to the nearest of a few cluster centers: plain and fast where normal rows form round groups. A group "
        "of "
        "anomalies can get a center of its own.",
    .paper = "S. Lloyd, Least squares quantization in PCM, IEEE Transactions on Information Theory, 1982",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "O(n k d), times the rounds, which grow with the rows up to 300",
    .score_cost = "O(k d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_clusters"));
      return PassCost(n, d, 4 + k * LloydPasses(n), 1 + k / 4, 16 * k * static_cast<double>(d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<KMeansDistance>(params);
    },
};

}  // namespace vedette::outlier
