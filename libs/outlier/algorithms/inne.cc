// iNNE (Bandaragoda et al. 2018): many small random subsets; around each of a subset's rows a ball that reaches to its nearest
// fellow. A row in no ball of a subset is isolated in it (score 1); else the smallest ball that covers it tells how isolated
// that place is: 1 - r(nearest fellow's ball) / r(ball). The score is the mean over the subsets.
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kFar = 1e130;
constexpr double kSmallest = std::numeric_limits<double>::min();

class Inne final : public RowDetector {
 public:
  explicit Inne(const ParamSet& params) : estimators_(params.Int("n_estimators")), wanted_(params.Int("max_samples")) {}

 private:
  /// Balls of one subset: centers feature by feature, in lanes of eight, so that a row is compared with eight at once. Lanes
  /// beyond psi lie far from everything.
  static constexpr size_t kLanes = 8;
  size_t Padded() const { return (static_cast<size_t>(psi_) + kLanes - 1) / kLanes * kLanes; }
  const double* Centers(int64_t t) const { return centers_.data() + static_cast<size_t>(t) * Padded() * d(); }
  double Center(int64_t t, size_t c, size_t j) const { return Centers(t)[(c / kLanes * d() + j) * kLanes + c % kLanes]; }

  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    psi_ = std::min(wanted_, n);
    const auto psi = static_cast<size_t>(psi_);
    centers_.assign(static_cast<size_t>(estimators_) * Padded() * d(), kFar);
    radius_.assign(static_cast<size_t>(estimators_) * psi, 0);
    ratio_ = radius_;
    return ParallelBlocks(ctx, estimators_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const std::vector<int64_t> subset = Rng(ctx.seed, static_cast<uint64_t>(t)).Sample(n, psi_);
        double* const centers = centers_.data() + static_cast<size_t>(t) * Padded() * d();
        for (size_t c = 0; c < psi; ++c) {
          for (size_t j = 0; j < d(); ++j) centers[(c / kLanes * d() + j) * kLanes + c % kLanes] = rows[static_cast<size_t>(subset[c]) * d() + j];
        }
        Radii(rows, subset, static_cast<size_t>(t) * psi);
      }
    });
  }

  void Radii(std::span<const double> rows, const std::vector<int64_t>& subset, size_t at) {
    std::vector<size_t> fellow(subset.size(), 0);
    for (size_t a = 0; a < subset.size(); ++a) {
      double least = subset.size() == 1 ? 0 : std::numeric_limits<double>::infinity();
      for (size_t b = 0; b < subset.size(); ++b) {
        if (a == b) continue;
        const double distance = SquaredDistance(rows.data() + static_cast<size_t>(subset[a]) * d(),
                                                rows.data() + static_cast<size_t>(subset[b]) * d(), d());
        if (distance < least) least = distance, fellow[a] = b;
      }
      radius_[at + a] = least;
    }
    for (size_t a = 0; a < subset.size(); ++a) {
      ratio_[at + a] = 1 - (radius_[at + fellow[a]] + kSmallest) / (radius_[at + a] + kSmallest);
    }
  }

  /// The isolation of x in subset t, and its nearest center.
  double Isolation(std::span<const double> x, int64_t t, double* squared, size_t* nearest) const {
    const auto psi = static_cast<size_t>(psi_);
    const double* values = Centers(t);
    for (size_t block = 0; block < Padded(); block += kLanes) {
      double sum[kLanes] = {};
      for (size_t j = 0; j < d(); ++j, values += kLanes) {
        const double v = x[j];
        for (size_t c = 0; c < kLanes; ++c) sum[c] += (v - values[c]) * (v - values[c]);
      }
      for (size_t c = 0; c < kLanes; ++c) squared[block + c] = sum[c];
    }
    const size_t at = static_cast<size_t>(t) * psi;
    double smallest = std::numeric_limits<double>::infinity(), isolation = 1;
    for (size_t c = 0; c < psi; ++c) {
      if (squared[c] <= radius_[at + c] && radius_[at + c] < smallest) smallest = radius_[at + c], isolation = ratio_[at + c];
    }
    if (nearest != nullptr) *nearest = static_cast<size_t>(std::min_element(squared, squared + psi) - squared);
    return isolation;
  }

  double ScoreRow(std::span<const double> x) const override {
    std::vector<double> squared(Padded());
    double sum = 0;
    for (int64_t t = 0; t < estimators_; ++t) sum += Isolation(x, t, squared.data(), nullptr);
    return sum / static_cast<double>(estimators_);
  }

  /// Each subset's isolation is shared out by the squared gaps to the nearest center.
  bool ExplainRow(std::span<const double> x, double, std::span<double> parts, std::span<double> expected) const override {
    std::vector<double> squared(Padded());
    std::fill(parts.begin(), parts.end(), 0.0);
    std::fill(expected.begin(), expected.end(), 0.0);
    const double share = 1 / static_cast<double>(estimators_);
    for (int64_t t = 0; t < estimators_; ++t) {
      size_t nearest = 0;
      const double isolation = Isolation(x, t, squared.data(), &nearest);
      for (size_t j = 0; j < d(); ++j) {
        const double center = Center(t, nearest, j), gap = x[j] - center;
        parts[j] += share * isolation * (squared[nearest] > 0 ? gap * gap / squared[nearest] : 1 / static_cast<double>(d()));
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
    centers_ = ReadDoubles(in, "the centers", estimators_ * static_cast<int64_t>(Padded()) * features());
    radius_ = ReadDoubles(in, "the radii", balls);
    ratio_ = ReadDoubles(in, "the ratios", balls);
    if (!in.ok()) return;
    for (const double v : centers_) {
      if (!(std::fabs(v) <= kFar)) return in.Fail("a center is out of range");
    }
    for (const double v : ratio_) {
      if (!(std::fabs(v) <= 1e300)) return in.Fail("a ratio is out of range");
    }
  }

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
    .summary = "How isolated a row is among many small random subsets, by balls around their rows: local and global anomalies, in "
               "linear time, any shape of normal data. Needs comparable scales.",
    .paper = "T. Bandaragoda et al., Isolation-based anomaly detection using nearest-neighbor ensembles, Computational "
             "Intelligence, 2018",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "O(t psi^2 d + n t psi d)",
    .score_cost = "O(t psi d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double balls = static_cast<double>(p.Int("n_estimators") * std::min(n, p.Int("max_samples")));
      return PassCost(n, d, 4 + balls / 2, 1 + balls / 2, 8 * balls * static_cast<double>(d + 2))
          .PlusFit(1e-9 * balls * static_cast<double>(p.Int("max_samples") * d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Inne>(params); },
};

}  // namespace vedette::outlier
