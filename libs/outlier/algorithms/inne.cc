// iNNE (Bandaragoda et al. 2018): many small random subsets; around each of a subset's rows a ball that reaches to its
// nearest fellow. A row in no ball of a subset is isolated in it (score 1); else the smallest ball that covers it tells
// how isolated that place is: 1 - r(nearest fellow's ball) / r(ball). The score is the mean over the subsets.
#include <absl/container/fixed_array.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/cost.h"
#include "outlier/kernels/ball_cover.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kSmallest = std::numeric_limits<double>::min();
constexpr double kIsolated = 1;  // where no ball covers a row

/// As the balls are measured, bit for bit: a ball reaches exactly to the fellow that it was measured by.
double Squared(const double* a, const double* b, size_t d) {
  double sum = 0;
  for (size_t j = 0; j < d; ++j) sum = std::fma(a[j] - b[j], a[j] - b[j], sum);
  return sum;
}

class Inne final : public RowDetector {
 public:
  explicit Inne(const ParamSet& params) : estimators_(params.Int("n_estimators")), wanted_(params.Int("max_samples")) {}

 private:
  absl::Status LearnFrom(MatrixView X, const Context& ctx) override {
    const int64_t psi = std::min(wanted_, X.rows);
    const auto all = static_cast<size_t>(estimators_ * psi);
    Balls drawn{estimators_, psi, features(), std::vector<double>(all * d()), std::vector<double>(all),
                std::vector<double>(all)};
    RETURN_IF_ERROR(
        ParallelBlocks(ctx, estimators_, std::clamp<int64_t>(20'000'000 / (psi * psi * features()), 1, 8),
                       [&](int64_t begin, int64_t end) {
                         std::vector<double> rows(static_cast<size_t>(psi) * d());
                         for (int64_t t = begin; t < end; ++t) {
                           const std::vector<int64_t> subset =
                               Rng(ctx.seed, static_cast<uint64_t>(t)).Sample(X.rows, psi);
                           for (size_t c = 0; c < subset.size(); ++c)
                             unit().Read(X, subset[c], rows.data() + c * d());
                           MakeBalls(rows, static_cast<size_t>(psi), static_cast<size_t>(t * psi), &drawn);
                         }
                       }));
    balls_ = BallSets(drawn, kIsolated);
    return absl::OkStatus();
  }

  /// The largest first (of equal ones, the later drawn): the last one that covers a row is the smallest.
  void MakeBalls(const std::vector<double>& rows, size_t psi, size_t at, Balls* out) const {
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
      std::copy_n(rows.data() + a * d(), d(), out->centers.data() + (at + k) * d());
      out->radius[at + k] = radius[a];
      out->worth[at + k] = 1 - (radius[fellow[a]] + kSmallest) / (radius[a] + kSmallest);
    }
  }

  static constexpr int64_t kTogether = 16;  ///< rows that are read at once

  /// visit(first row, how many, the rows as kernels want them) for rows [begin, end) of X.
  template <typename F>
  void ForRows(MatrixView X, int64_t begin, int64_t end, const F& visit) const {
    const int64_t stride = balls_.stride();
    absl::FixedArray<double, 512> rows(static_cast<size_t>(std::min(kTogether, end - begin) * stride), 0.0);
    for (int64_t at = begin; at < end; at += kTogether) {
      const int64_t count = std::min(kTogether, end - at);
      for (int64_t i = 0; i < count; ++i) unit().Read(X, at + i, rows.data() + i * stride);
      visit(at, count, rows.data());
    }
  }

  void ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const override {
    ForRows(X, begin, end, [&](int64_t at, int64_t count, const double* rows) {
      FastestBalls().score(balls_, rows, count, scores + (at - begin));
    });
  }
  double ScoreRow(std::span<const double> x) const override {
    absl::FixedArray<double, 64> row(static_cast<size_t>(balls_.stride()), 0.0);
    std::copy(x.begin(), x.end(), row.begin());
    double score;
    FastestBalls().score(balls_, row.data(), 1, &score);
    return score;
  }
  int64_t BlockRows() const override {
    return std::clamp<int64_t>(100'000'000 / (estimators_ * balls_.size() * features()) / 16 * 16, 16, 1024);
  }

  /// Each subset's isolation is shared out by the squared gaps to the nearest center.
  bool ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const override {
    const int64_t stride = balls_.stride(), cells = std::min(kTogether, end - begin) * stride;
    absl::FixedArray<double, 512> work(static_cast<size_t>(2 * cells));
    double *const parts = work.data(), *const centers = parts + cells;
    ForRows(X, begin, end, [&](int64_t at, int64_t count, const double* rows) {
      const RowParts own = out.From(at - begin);
      FastestBalls().explain(balls_, rows, count, parts, centers, own.scores);
      for (int64_t j = 0; j < features(); ++j) {
        for (int64_t i = 0; i < count; ++i) {
          own.contributions[j * own.stride + i] = Finite(parts[i * stride + j]);
          own.expected[j * own.stride + i] = centers[i * stride + j];
        }
      }
    });
    return true;
  }
  bool ExplainsWithScore() const override { return true; }

  void SaveState(ByteWriter& out) const override {
    out.I64(balls_.size());
    const Balls drawn = balls_.Plain();
    for (const auto* v : {&drawn.centers, &drawn.radius, &drawn.worth}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    const int64_t psi = ReadInt(in, "the subset size", 1, 100000), balls = psi * estimators_;
    Balls drawn{estimators_, psi, features()};
    drawn.centers = ReadDoubles(in, "the centers", balls * features());
    drawn.radius = ReadDoubles(in, "the radii", balls);
    drawn.worth = ReadDoubles(in, "the ratios", balls);
    if (!in.ok()) return;
    for (const double v : drawn.centers) {
      if (!(std::fabs(v) <= RowUnit::kMaxValue)) return in.Fail("a center is out of range");
    }
    for (const double v : drawn.worth) {
      if (!(std::fabs(v) <= 1e300)) return in.Fail("a ratio is out of range");
    }
    balls_ = BallSets(drawn, kIsolated);
  }
  uint32_t state_version() const override { return 2; }

  int64_t estimators_, wanted_;
  BallSets balls_;  ///< each worth its ratio
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
      const int64_t size = std::min(n, p.Int("max_samples")), sets = p.Int("n_estimators");
      const auto balls = static_cast<double>(sets * size);
      return PassCost(n, d, 4 + 0.12 * balls, 1 + 0.12 * balls, BallSets::Bytes(sets, size, d))
          .PlusFit(1e-9 * balls * static_cast<double>(p.Int("max_samples") * d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Inne>(params); },
};

}  // namespace vedette::outlier
