// MCD: squared Mahalanobis distances from a robust centre and covariance.
#include <absl/container/fixed_array.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/eigen.h"
#include "outlier/fast_mcd.h"
#include "outlier/parallel.h"
#include "outlier/projection.h"
#include "outlier/special.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr uint32_t kStateVersion = 1;
constexpr int kTile = Standardizer::kTile, kNarrow = 4;  // lanes: of rows side by side, and of a row alone
constexpr size_t kWork = 512;                            // doubles on the stack
constexpr int64_t kBlockRows = 32 * kTile;
constexpr int64_t kMaxDimension = 1000;  // one factorisation stays below 100 ms
/// Directions in which the training rows do not vary at all (constant columns, exact linear relations) get this
/// variance, in squared standard deviations: training rows have no distance there, a new row that breaks the relation
/// has.
constexpr double kVarianceOfNone = 1e-6;
constexpr double kNoVariance = 1e-12;  // of the correlation matrix's largest eigenvalue: varies by rounding only

constexpr ParamSpec kParams[] = {
    {.name = "support_fraction",
     .type = ParamType::kReal,
     .default_value = "0",
     .min = 0,
     .max = 1,
     .choices = "auto=0",
     .summary = "Share of the rows that is taken as clean; 0 or 'auto' is (n + d + 1) / 2n, which withstands the most "
                "anomalies; more is more precise on cleaner data."},
};

/// As scikit-learn's MinCovDet, which PyOD uses: FastMCD, scaled to be consistent for normal data by the median of the
/// distances, then the mean and covariance of the rows within the 97.5 % quantile of chi-squared.
class Mcd final : public Detector {
 public:
  explicit Mcd(const ParamSet& params) : support_fraction_(params.Real("support_fraction")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    if (X.cols > kMaxDimension) return InvalidArgument("mcd: {} columns are more than {}", X.cols, kMaxDimension);
    d_ = X.cols;
    RETURN_IF_ERROR(columns_.FitMeanAndDeviation(X, ctx));
    const int64_t n = X.rows;
    MatrixXd Z(d_, n);
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    low_.assign(static_cast<size_t>(d_), kInfinity);
    high_.assign(static_cast<size_t>(d_), -kInfinity);
    Eigen::Map<VectorXd> low(low_.data(), d_), high(high_.data(), d_);
    RETURN_IF_ERROR(Blocks(ctx, n, kTile, [&](int64_t row, int64_t end) {
      MatrixXd tile(kTile, d_);
      columns_.Tile(X, row, tile.data());
      const auto rows = tile.topRows(end - row);
      Z.middleCols(row, end - row) = rows.transpose();
      low = low.cwiseMin(rows.colwise().minCoeff().transpose());
      high = high.cwiseMax(rows.colwise().maxCoeff().transpose());
    }));
    RETURN_IF_ERROR(FitStandardized(Z, ctx));
    training_scores_.resize(static_cast<size_t>(n));
    return Score(X, training_scores_, ctx);
  }

  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    const int64_t k = roots();
    return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      const int lanes = end - begin == 1 ? kNarrow : kTile;
      absl::FixedArray<double, kWork> work(static_cast<size_t>((d_ + k) * lanes));
      for (int64_t row = begin; row < end; row += lanes) {
        double *const z = work.data(), *const p = z + d_ * lanes;
        Centred(X, row, lanes, z);
        ProjectTile(z, d_, root_.data(), k, p, lanes);
        SumSquares(p, k, lanes, std::min<int64_t>(lanes, end - row), scores.data() + row);
      }
    });
  }

  /// y_f (P y)_f, y the distance from the centre and P the precision: parts that add up to the squared distance. What
  /// is expected of a feature is its mean given the row's other features, within the range of the training rows.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    const int64_t k = roots();
    Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = Matrix::ForOverwrite(X.rows, X.cols),
                  .space = "score"};
    a.scores.resize(static_cast<size_t>(X.rows));
    const int64_t block = std::clamp<int64_t>(RowsPerLook(4 * d_ * (k + 1)) / kTile * kTile, kTile, 8 * kTile);
    RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, block, [&](int64_t begin, int64_t end) {
      const int lanes = end - begin == 1 ? kNarrow : kTile;
      absl::FixedArray<double, kWork> work(static_cast<size_t>((2 * d_ + k) * lanes));
      for (int64_t row = begin; row < end; row += lanes) {
        double *const y = work.data(), *const p = y + d_ * lanes, *const py = p + k * lanes;
        const int64_t count = std::min<int64_t>(lanes, end - row);
        Centred(X, row, lanes, y);
        ProjectTile(y, d_, root_.data(), k, p, lanes);
        SumSquares(p, k, lanes, count, a.scores.data() + row);
        ProjectTile(p, k, turned_.data(), d_, py, lanes);
        for (int64_t j = 0; j < d_; ++j) {
          const auto f = static_cast<size_t>(j);
          double *const parts = a.contributions.col(j).data() + row, *const expected = a.expected.col(j).data() + row;
          for (int64_t r = 0; r < count; ++r) {
            const double own = y[j * lanes + r], other = py[j * lanes + r];
            parts[r] = own * other;
            const double given_others = variance_[f] > 0 ? own - other * variance_[f] : 0;
            expected[r] = columns_.Unscaled(j, std::clamp(location_[f] + given_others, low_[f], high_[f]));
          }
        }
      }
    }));
    return a;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    out.I64(d_);
    out.I64(roots());
    columns_.Save(out);
    out.Doubles(location_);
    out.Doubles(low_);
    out.Doubles(high_);
    out.Doubles(root_);
  }

  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    d_ = ReadInt(in, "the number of columns", 1, kMaxDimension);
    const int64_t k = ReadInt(in, "the rank", 0, kMaxDimension);
    columns_.Load(in, d_);
    location_ = ReadDoubles(in, "the location", d_);
    low_ = ReadDoubles(in, "the least values", d_);
    high_ = ReadDoubles(in, "the largest values", d_);
    root_ = ReadDoubles(in, "the root of the precision", k * d_);
    training_scores_.clear();
    for (int64_t j = 0; in.ok() && j < d_; ++j) {
      const auto f = static_cast<size_t>(j);
      if (!(low_[f] <= high_[f]) || std::fabs(location_[f]) > Standardizer::kMaxZ)
        in.Fail("a column's range is impossible");
    }
    for (size_t i = 0; in.ok() && i < root_.size(); ++i) {
      if (std::fabs(root_[i]) > 1e40) in.Fail("the precision is out of range");
    }
    if (in.ok()) Derive();
    return in.status();
  }

  int64_t features() const override { return d_; }

 private:
  /// Rows [row, row + lanes) of X (zeros beyond its end), standardised, less the centre: out[j * lanes + r].
  void Centred(MatrixView X, int64_t row, int lanes, double* out) const {
    if (lanes == kTile) columns_.Tile(X, row, out);
    for (int64_t j = 0; j < d_; ++j) {
      double* const own = out + j * lanes;
      if (lanes == kNarrow) std::fill_n(own, kNarrow, columns_.Z(j, X(row, j)));  // a row alone
      for (int r = 0; r < lanes; ++r) own[r] -= location_[static_cast<size_t>(j)];
    }
  }
  static void SumSquares(const double* p, int64_t k, int lanes, int64_t count, double* sums) {
    std::fill_n(sums, count, 0.0);
    for (int64_t c = 0; c < k; ++c, p += lanes) {
      for (int64_t r = 0; r < count; ++r) sums[r] = std::fma(p[r], p[r], sums[r]);
    }
  }
  /// What explanations need of the root.
  void Derive() {
    const int64_t k = roots();
    turned_.assign(root_.size(), 0);
    variance_.assign(static_cast<size_t>(d_), 0);
    for (int64_t j = 0; j < d_; ++j) {
      double precision = 0;
      for (int64_t c = 0; c < k; ++c) {
        const double w = root_[static_cast<size_t>(c * d_ + j)];
        turned_[static_cast<size_t>(j * k + c)] = w;
        precision += w * w;
      }
      variance_[static_cast<size_t>(j)] = precision > 0 ? 1 / precision : 0;
    }
  }
  int64_t roots() const { return d_ == 0 ? 0 : static_cast<int64_t>(root_.size()) / d_; }

  /// Splits off the directions without variance, and fits the others.
  absl::Status FitStandardized(const MatrixXd& Z, const Context& ctx) {
    std::vector<int64_t> all(static_cast<size_t>(Z.cols()));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    const RobustFit classic = FitRows(Z, all, ctx);
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const SymmetricEigen eigen,
                     EigenOf({classic.covariance.data(), static_cast<size_t>(d_ * d_)}, static_cast<size_t>(d_), ctx));
    const Eigen::Map<const MatrixXd> directions(eigen.vectors.data(), d_, d_);
    const double cutoff = kNoVariance * std::max(0.0, eigen.values.back());
    Eigen::Index none = 0;
    while (none < d_ && !(eigen.values[static_cast<size_t>(none)] > cutoff)) ++none;
    const Eigen::Index rank = d_ - none;
    VectorXd location = classic.location;
    MatrixXd root(d_, d_);
    root.leftCols(none) = directions.leftCols(none) / std::sqrt(kVarianceOfNone);
    Eigen::Index used = none;
    if (rank > 0) {
      // Only when something is split off are the rows turned into the remaining directions: Mahalanobis distances do
      // not depend on the basis.
      const MatrixXd basis = none == 0 ? MatrixXd(MatrixXd::Identity(d_, d_)) : MatrixXd(directions.rightCols(rank));
      MatrixXd turned(rank, none == 0 ? 0 : Z.cols());
      RETURN_IF_ERROR(Blocks(ctx, turned.cols(), kBlockRows, [&](int64_t begin, int64_t end) {
        turned.middleCols(begin, end - begin).noalias() = basis.transpose() * Z.middleCols(begin, end - begin);
      }));
      ASSIGN_OR_RETURN(const RobustFit fit, Reweighted(none == 0 ? Z : turned, ctx));
      ASSIGN_OR_RETURN(const MatrixXd inverse_root, InverseRoot(fit.covariance, ctx));
      root.middleCols(none, inverse_root.cols()) = basis * inverse_root;
      used += inverse_root.cols();
      location = none == 0
                     ? fit.location
                     : VectorXd(basis * fit.location +
                                directions.leftCols(none) * (directions.leftCols(none).transpose() * classic.location));
    }
    location_.assign(location.data(), location.data() + d_);
    root_.assign(root.data(), root.data() + d_ * used);
    Derive();
    return absl::OkStatus();
  }

  absl::StatusOr<RobustFit> Reweighted(const MatrixXd& Z, const Context& ctx) const {
    const int64_t n = Z.cols();
    const auto d = static_cast<double>(d_);
    const double wanted = support_fraction_ > 0 ? std::floor(support_fraction_ * static_cast<double>(n))
                                                : std::ceil(0.5 * (static_cast<double>(n + Z.rows()) + 1));
    ASSIGN_OR_RETURN(const RobustFit raw, FastMcd(Z, std::clamp<int64_t>(static_cast<int64_t>(wanted), 1, n), ctx));
    const VectorXd distances = SquaredDistances(Z, raw.location, raw.covariance, ctx);
    RETURN_IF_ERROR(ctx.Check());
    std::vector<double> work(distances.data(), distances.data() + n);
    const double correction = MedianInPlace(work) / ChiSquaredQuantile(0.5, d);
    const double limit = ChiSquaredQuantile(0.975, d) * correction;
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < n; ++i) {
      if (distances[i] < limit || (limit == 0 && distances[i] == 0)) rows.push_back(i);
    }
    RETURN_IF_ERROR(ctx.Check());
    if (rows.empty()) return raw;
    RobustFit fit = FitRows(Z, rows, ctx);
    RETURN_IF_ERROR(ctx.Check());
    return fit;
  }

  double support_fraction_;
  int64_t d_ = 0;
  Standardizer columns_;
  std::vector<double> location_;    ///< of the standardised columns, as all that follows
  std::vector<double> low_, high_;  ///< ranges of the training rows
  std::vector<double> root_;        ///< W, d x rank by columns: precision = W W'
  std::vector<double> turned_;      ///< derived: W by rows
  std::vector<double> variance_;    ///< derived: of each column given the others; 0 where there is none to be known
  std::vector<double> training_scores_;
};

}  // namespace

extern const Descriptor k_mcd;
const Descriptor k_mcd = {
    .name = "mcd",
    .family = "linear",
    .summary =
        "Mahalanobis distance from a centre and covariance that anomalies cannot distort: finds values that are odd "
        "only "
        "together. Assumes one roughly elliptical cloud, and more rows than about five times the columns.",
    .paper =
        "P. J. Rousseeuw, K. Van Driessen, A fast algorithm for the minimum covariance determinant estimator, "
        "Technometrics, 1999",
    .params = kParams,
    .deterministic = false,
    .fit_cost = "O(n d^2 + d^3), times the trials",
    .score_cost = "O(d^2)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      const double square = static_cast<double>(d * d);
      // Trials on sub-samples of at most 1500 rows, then steps over all rows.
      return PassCost(n, d, 50 * (1 + static_cast<double>(d)), 1 + static_cast<double>(d) / 4, 24 * square)
          .PlusFit(0.01 + 4e-6 * static_cast<double>(std::min<int64_t>(n, 1500)) * (1 + square / 20));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Mcd>(params); },
};

}  // namespace vedette::outlier
