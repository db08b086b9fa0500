// Squared Mahalanobis distance with a shrunk covariance (Ledoit, Wolf 2004): on standardised columns, the covariance is
// drawn towards a multiple of the identity by as much as its own error calls for, so that it has an inverse even when
// columns outnumber rows.
#include <absl/container/fixed_array.h>

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/cholesky.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/kernels/row_parts.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr size_t kMaxDimension = 4000;
/// Share of the identity at least: exact linear relations between columns keep a finite distance.
constexpr double kLeastShrinkage = 1e-9;

class Mahalanobis final : public TileDetector {
 private:
  absl::Status LearnFrom(MatrixView X, const Context& ctx) override {
    if (d() > kMaxDimension) return InvalidArgument("mahalanobis: {} columns are more than {}", d(), kMaxDimension);
    const auto n = static_cast<double>(X.rows);
    mean_.assign(d(), 0);
    scale_.assign(d(), 1);
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.cols, 1, [&](int64_t column, int64_t) {
      const auto j = static_cast<size_t>(column);
      const Moments moments = MomentsOf(X.col(column), unit().unit());
      mean_[j] = moments.mean;
      const double deviation = std::sqrt(moments.variance);
      if (deviation > 1e-13 * std::fabs(moments.mean) && deviation > 1e-150) scale_[j] = 1 / deviation;
    }));
    double fourth = 0;  // sum over rows of the squared length, squared
    const auto read = [&](size_t begin, size_t count, double* y) -> std::span<const double> {
      double square[kCovarianceRows] = {};
      for (size_t j = 0; j < d(); ++j, y += kCovarianceRows) {
        const double mean = mean_[j], scale = scale_[j];
        unit().Column(X, static_cast<int64_t>(j), static_cast<int64_t>(begin), static_cast<int64_t>(count), y);
        for (size_t r = 0; r < count; ++r) {
          y[r] = (y[r] - mean) * scale;
          square[r] += y[r] * y[r];
        }
      }
      for (size_t r = 0; r < count; ++r) fourth += square[r] * square[r];
      return {};
    };
    ASSIGN_OR_RETURN(std::vector<double> S, CovarianceOf(static_cast<size_t>(X.rows), d(), n, read, ctx));
    double trace = 0, norm = 0;
    for (size_t j = 0; j < d(); ++j) trace += S[j * d() + j];
    for (const double s : S) norm += s * s;
    const double mu = trace / static_cast<double>(d());
    const double distance = norm - static_cast<double>(d()) * mu * mu;
    const double error = std::max(0.0, fourth / n - norm) / n;
    const double shrinkage = distance > 0 ? std::clamp(error / distance, kLeastShrinkage, 1.0) : 1;
    for (size_t a = 0; a < d(); ++a) {
      for (size_t b = 0; b < d(); ++b)
        S[a * d() + b] = (1 - shrinkage) * S[a * d() + b] + (a == b ? shrinkage * std::max(mu, 1e-12) : 0);
    }
    ASSIGN_OR_RETURN(W_, InverseCholesky(S, d(), ctx));
    return W_.empty() ? Internal("mahalanobis: the shrunk covariance has no inverse") : absl::OkStatus();
  }

  void ScoreTile(const RowTile& tile, double* scores) const override {
    const auto lanes = static_cast<size_t>(tile.lanes);
    static thread_local std::vector<double> z, zero;
    z.resize(d() * lanes);
    zero.assign(d(), 0);
    for (size_t j = 0; j < d(); ++j) {
      const double mean = mean_[j], scale = scale_[j];
      const double* const x = tile.values + j * lanes;
      double* const out = z.data() + j * lanes;
      for (size_t r = 0; r < lanes; ++r) {
        const double v = (x[r] - mean) * scale, bounded = v > 1e100 ? 1e100 : v;
        out[r] = bounded < -1e100 ? -1e100 : bounded;
      }
    }
    WhitenedSquares(W_, z.data(), tile.lanes, zero.data(), d(), scores);
  }
  /// z_j (P z)_j: parts that add up to the squared distance.
  bool ExplainTile(const RowTile& tile, const RowParts& out) const override {
    absl::FixedArray<double, 1024> work(2 * d() * static_cast<size_t>(tile.lanes));
    const QuadraticForm form{.A = W_.data(), .center = mean_.data(), .scale = scale_.data(), .d = features()};
    QuadraticParts(form, tile.values, tile.lanes, work.data(), out.contributions, out.stride);
    return true;
  }
  std::span<const double> Usual() const override { return mean_; }
  int64_t BlockRows() const override {
    return std::clamp<int64_t>(50'000'000 / static_cast<int64_t>(d() * d() + 1) / 16 * 16, 16, 1024);
  }
  void SaveState(ByteWriter& out) const override {
    for (const auto* v : {&mean_, &scale_, &W_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    if (d() > kMaxDimension) return in.Fail("there are too many columns");
    mean_ = ReadDoubles(in, "the means", features());
    scale_ = ReadDoubles(in, "the scales", features());
    W_ = ReadDoubles(in, "the factor", features() * features());
    for (const double w : W_) {
      if (std::fabs(w) > 1e20) return in.Fail("the factor is out of range");
    }
    for (const double m : mean_) {
      if (std::fabs(m) > RowUnit::kMaxValue) return in.Fail("a mean is out of range");
    }
    for (const double s : scale_) {
      if (!(s > 0 && s < 1e160)) return in.Fail("a scale is out of range");
    }
  }

  std::vector<double> mean_, scale_, W_;
};

}  // namespace

extern const Descriptor k_mahalanobis;
const Descriptor k_mahalanobis = {
    .name = "mahalanobis",
    .family = "linear",
    .summary =
        "Distance from the mean in units of the columns' joint variation, with a shrunk covariance: values that are "
        "odd only "
        "together, also with more columns than rows. Many anomalies in the training rows widen the measure; `mcd` "
        "resists them.",
    .paper =
        "O. Ledoit, M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices, J. Multivariate "
        "Analysis, 2004",
    .params = {},
    .deterministic = true,
    .fit_cost = "O(n d^2 + d^3)",
    .score_cost = "O(d^2)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      const double side = static_cast<double>(d);
      return PassCost(n, d, 6 + side, 1 + side / 2, 8 * side * (side + 2)).PlusFit(1e-9 * side * side * side);
    },
    .make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<Mahalanobis>(); },
};

}  // namespace vedette::outlier
