// Sampling (Sugiyama, Borgwardt 2013): distance to the nearest of a few random rows, drawn once.
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/cost.h"
#include "outlier/kernels/kmeans.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class Sampling final : public TileDetector {
 public:
  explicit Sampling(const ParamSet& params) : size_(params.Int("subset_size")) {}

 private:
  absl::Status LearnFrom(MatrixView X, const Context& ctx) override {
    const std::vector<int64_t> sample = Rng(ctx.seed).Sample(X.rows, size_);
    subset_.assign(sample.size() * d(), 0);
    for (size_t s = 0; s < sample.size(); ++s) unit().Read(X, sample[s], subset_.data() + s * d());
    search_ = NearestCenter(subset_, sample.size(), d());
    return absl::OkStatus();
  }
  void ScoreTile(const RowTile& tile, double* scores) const override {
    search_.FindTile(tile.values, tile.lanes, search_.clusters(), scores, nullptr);
    for (int r = 0; r < tile.lanes; ++r) scores[r] = unit().Unscaled(std::sqrt(scores[r]));
  }
  bool ExplainRow(std::span<const double> x, std::span<double> parts, std::span<double> expected, double*) const override {
    double squared = 0;
    const double* const nearest = subset_.data() + search_.Find(x.data(), &squared) * d();
    for (size_t j = 0; j < d(); ++j) {
      const double gap = unit().Unscaled(x[j] - nearest[j]);
      parts[j] = gap * gap;
      expected[j] = nearest[j];
    }
    return true;
  }
  bool ExplainTile(const RowTile& tile, const RowParts& out) const override {
    return search_.PartsTile(tile.values, tile.lanes, search_.clusters(), unit().unit(), out.contributions,
                             out.expected, out.stride);
  }
  std::string_view space() const override { return "squared distance"; }
  void SaveState(ByteWriter& out) const override { out.Doubles(subset_); }
  void LoadState(ByteReader& in) override {
    subset_ = in.Doubles();
    if (!in.ok()) return;
    if (subset_.empty() || subset_.size() % d() != 0) return in.Fail("the subset is not whole rows");
    for (const double v : subset_) {
      if (!(std::fabs(v) <= RowUnit::kMaxValue)) return in.Fail("the subset holds a number out of range");
    }
    search_ = NearestCenter(subset_, subset_.size() / d(), d());
  }

  int64_t size_;
  std::vector<double> subset_;
  NearestCenter search_;
};

constexpr ParamSpec kParams[] = {
    {.name = "subset_size",
     .type = ParamType::kInt,
     .default_value = "20",
     .min = 1,
     .max = 100000,
     .summary = "Number of random rows that others are compared with; more find more local anomalies, fewer are less "
                "likely to hold an anomaly themselves."},
};

}  // namespace

extern const Descriptor k_sampling;
const Descriptor k_sampling = {
    .name = "sampling",
    .family = "probabilistic",
    .summary =
        "Distance to the nearest of twenty random rows: one pass over the data, often as good as all neighbours. "
        "Scores vary "
        "much with the seed; needs comparable scales.",
    .paper = "M. Sugiyama, K. Borgwardt, Rapid distance-based outlier detection via sampling, NeurIPS, 2013",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "O(n s d), s the sample",
    .score_cost = "O(s d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double s = static_cast<double>(p.Int("subset_size"));
      return PassCost(n, d, 1 + 0.4 * s, 0.5 + 0.2 * s, 8 * s * static_cast<double>(d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Sampling>(params); },
};

}  // namespace vedette::outlier
