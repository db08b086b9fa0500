// iNNE (Bandaragoda et al. 2018): many small random subsets; around each of a subset's rows a ball that reaches to its
// nearest fellow. A row in no ball of a subset is isolated in it (score 1); else the smallest ball that covers it tells
// how isolated that place is: 1 - r(nearest fellow's ball) / r(ball). The score is the mean over the subsets.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/cost.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kSmallest = std::numeric_limits<double>::min();

/// As the tiles sum it, bit for bit: a ball reaches exactly to the fellow that it was measured by.
double Squared(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t j = 0; j < d; ++j) sum = std::fma(a[j] - b[j], a[j] - b[j], sum);
  return sum;
}

class Inne final : public TileDetector {
 public:
  explicit Inne(const ParamSet& params) : estimators_(params.Int("n_estimators")), wanted_(params.Int("max_samples")) {}

 private:
  /// Balls of subset t are [t * psi, (t + 1) * psi), the largest first (of equal ones, the later drawn): the last one
  /// that covers a row is the smallest.
  const double* Center(size_t ball) const { return centers_.data() + ball * d(); }

  absl::Status LearnFrom(MatrixView X, const Context& ctx) override {
    psi_ = std::min(wanted_, X.rows);
    const auto balls = static_cast<size_t>(estimators_ * psi_);
    centers_.assign(balls * d(), 0);
    radius_.assign(balls, 0);
    ratio_.assign(balls, 0);
    return ParallelBlocks(ctx, estimators_, std::clamp<int64_t>(20'000'000 / (psi_ * psi_ * features()), 1, 8),
                          [&](int64_t begin, int64_t end) {
                            std::vector<double> rows(static_cast<size_t>(psi_) * d());
                            for (int64_t t = begin; t < end; ++t) {
                              const std::vector<int64_t> subset =
                                  Rng(ctx.seed, static_cast<uint64_t>(t)).Sample(X.rows, psi_);
                              for (size_t c = 0; c < subset.size(); ++c)
                                unit().Read(X, subset[c], rows.data() + c * d());
                              MakeBalls(rows, static_cast<size_t>(t * psi_));
                            }
                          });
  }

  void MakeBalls(const std::vector<double>& rows, size_t at) {
    const auto psi = static_cast<size_t>(psi_);
    std::vector<size_t> fellow(psi, 0), order(psi);
    std::vector<double> radius(psi, psi == 1 ? 0 : std::numeric_limits<double>::infinity());
    for (size_t a = 0; a < psi; ++a) {
      for (size_t b = 0; b < psi; ++b) {
        if (a == b) continue;
        const double distance = Squared(rows.data() + a * d(), rows.data() + b * d(), d());
        if (distance < radius[a]) radius[a] = distance, fellow[a] = b;
      }
      order[a] = psi - 1 - a;
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return radius[a] > radius[b]; });
    for (size_t k = 0; k < psi; ++k) {
      const size_t a = order[k];
      std::copy_n(rows.data() + a * d(), d(), centers_.data() + (at + k) * d());
      radius_[at + k] = radius[a];
      ratio_[at + k] = 1 - (radius[fellow[a]] + kSmallest) / (radius[a] + kSmallest);
    }
  }

  template <int kVectors>
  void Tile(const double* tile, double* scores) const {
    constexpr int kLanes = 4 * kVectors;
    F64x4 total[kVectors];
    for (F64x4& t : total) t = F64x4::Zero();
    size_t ball = 0;
    for (int64_t t = 0; t < estimators_; ++t) {
      F64x4 isolation[kVectors];
      for (F64x4& i : isolation) i = F64x4::Set(1);
      for (int64_t k = 0; k < psi_; ++k, ++ball) {
        F64x4 sum[kVectors];
        for (F64x4& s : sum) s = F64x4::Zero();
        const double* const center = Center(ball);
        const double* x = tile;
        for (size_t j = 0; j < d(); ++j, x += kLanes) {
          const F64x4 value = F64x4::Set(center[j]);
          for (int v = 0; v < kVectors; ++v) {
            const F64x4 gap = F64x4::LoadAny(x + 4 * v) - value;
            sum[v] = Fma(gap, gap, sum[v]);
          }
        }
        const F64x4 radius = F64x4::Set(radius_[ball]), ratio = F64x4::Set(ratio_[ball]);
        for (int v = 0; v < kVectors; ++v) isolation[v] = WhereNotAbove(sum[v], radius, ratio, isolation[v]);
      }
      for (int v = 0; v < kVectors; ++v) total[v] = total[v] + isolation[v];
    }
    const F64x4 count = F64x4::Set(static_cast<double>(estimators_));
    for (int v = 0; v < kVectors; ++v) (total[v] / count).Store(scores + 4 * v);
  }

  void ScoreTile(const RowTile& tile, double* scores) const override {
    if (tile.lanes == RowTile::kWide)
      Tile<4>(tile.values, scores);
    else
      Tile<1>(tile.values, scores);
  }
  int64_t BlockRows() const override {
    return std::clamp<int64_t>(100'000'000 / (estimators_ * psi_ * features()) / 16 * 16, 16, 1024);
  }

  /// Each subset's isolation is shared out by the squared gaps to the nearest center.
  bool ExplainRow(std::span<const double> x, std::span<double> parts,
                  std::span<double> expected) const override {
    std::fill(parts.begin(), parts.end(), 0.0);
    std::fill(expected.begin(), expected.end(), 0.0);
    const double share = 1 / static_cast<double>(estimators_);
    const auto psi = static_cast<size_t>(psi_);
    for (size_t at = 0; at < radius_.size(); at += psi) {
      size_t nearest = at;
      double least = std::numeric_limits<double>::infinity(), isolation = 1;
      for (size_t ball = at; ball < at + psi; ++ball) {
        const double squared = Squared(x.data(), Center(ball), d());
        if (squared <= radius_[ball]) isolation = ratio_[ball];
        if (squared < least) least = squared, nearest = ball;
      }
      for (size_t j = 0; j < d(); ++j) {
        const double center = Center(nearest)[j], gap = x[j] - center;
        parts[j] += share * isolation * (least > 0 ? gap * gap / least : 1 / static_cast<double>(d()));
        expected[j] += share * center;
      }
    }
    return true;
  }

  void SaveState(ByteWriter& out) const override {
    out.I64(psi_);
    out.Doubles(centers_);
    out.Doubles(radius_);
    out.Doubles(ratio_);
  }
  void LoadState(ByteReader& in) override {
    psi_ = ReadInt(in, "the subset size", 1, 100000);
    const int64_t balls = psi_ * estimators_;
    centers_ = ReadDoubles(in, "the centers", balls * features());
    radius_ = ReadDoubles(in, "the radii", balls);
    ratio_ = ReadDoubles(in, "the ratios", balls);
    if (!in.ok()) return;
    for (const double v : centers_) {
      if (!(std::fabs(v) <= RowUnit::kMaxValue)) return in.Fail("a center is out of range");
    }
    for (const double v : ratio_) {
      if (!(std::fabs(v) <= 1e300)) return in.Fail("a ratio is out of range");
    }
  }
  uint32_t state_version() const override { return 2; }

  int64_t estimators_, wanted_, psi_ = 0;
  std::vector<double> centers_, radius_, ratio_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_estimators",
     .type = ParamType::kInt,
     .default_value = "200",
     .min = 1,
     .max = 10000,
     .summary = "Number of random subsets; more make the score steadier."},
    {.name = "max_samples",
     .type = ParamType::kInt,
     .default_value = "8",
     .min = 1,
     .max = 10000,
     .summary = "Rows in a subset: few find global anomalies, more find local ones."},
};

}  // namespace

extern const Descriptor k_inne;
const Descriptor k_inne = {
    .name = "inne",
    .family = "ensemble",
    .summary =
        "How isolated a row is among many small random subsets, by balls around their rows: local and global "
        "anomalies, in "
        "linear time, any shape of normal data. Needs comparable scales.",
    .paper =
        "T. Bandaragoda et al., Isolation-based anomaly detection using nearest-neighbor ensembles, Computational "
        "Intelligence, 2018",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "O(t psi^2 d + n t psi d)",
    .score_cost = "O(t psi d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double balls = static_cast<double>(p.Int("n_estimators") * std::min(n, p.Int("max_samples")));
      return PassCost(n, d, 4 + 0.12 * balls, 1 + 0.12 * balls, 8 * balls * static_cast<double>(d + 2))
          .PlusFit(1e-9 * balls * static_cast<double>(p.Int("max_samples") * d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Inne>(params); },
};

}  // namespace vedette::outlier
