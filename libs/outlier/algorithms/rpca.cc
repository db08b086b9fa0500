// Robust PCA by principal component pursuit (Candes, Li, Ma, Wright 2011): the table, each column less its median and
// over its robust deviation, is the sum of L, low in rank, and S, sparse errors, that minimises |L|_* + lambda |S|_1,
// lambda = 1 / sqrt(max(n, d)). Solved by the inexact augmented Lagrangian method (Lin, Chen, Ma 2010); its singular
// values come from d x d matrices alone.
//
// The rule for a row x, new or not. At the optimum, with G = (L'L)^(-1/2), every row l + s of the table has
// G l in lambda times the subdifferential of |s|_1: the row solves, by itself,
//     minimise over s:  1/2 (x - s)' G (x - s) + lambda |s|_1.
// So does a new row, and that minimum over lambda is the score: what the row adds to the pursuit's objective.
// Directions that L lacks count as if its singular value there were kLeastSpread / lambda: what lies there is error at
// once.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/eigen.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Block = Eigen::Map<Rows>;

constexpr size_t kMaxDimension = 500;
constexpr double kLeastSpread = 1e-3;
constexpr double kMostFitted = 100;  // robust deviations: in the fit a grosser error is as sparse as this
constexpr double kMostScored = 1e9;
constexpr double kGrowth = 1.25;  // of the penalty, per round
constexpr int kMostSweeps = 200;

double Soft(double x, double by) { return x > by ? x - by : (x < -by ? x + by : 0); }

/// The pursuit's state: the table, its errors and the multipliers, row by row, worked on in blocks of rows.
class Pursuit {
 public:
  Pursuit(std::vector<double> table, size_t n, size_t d)
      : n_(static_cast<int64_t>(n)),
        d_(static_cast<int64_t>(d)),
        M_(std::move(table)),
        S_(M_.size(), 0),
        Y_(M_.size()),
        lambda_(1 / std::sqrt(static_cast<double>(std::max(n, d)))),
        grain_(std::max<int64_t>(512, (n_ + 15) / 16)),
        grams_(static_cast<size_t>((n_ + grain_ - 1) / grain_)),
        errors_(grams_.size()) {}

  /// Runs it; the result is L'L.
  absl::StatusOr<std::vector<double>> Run(int64_t rounds, double tolerance, const Context& ctx) {
    double norm = 0, most = 0;
    for (const double v : M_) norm += v * v, most = std::max(most, std::fabs(v));
    RETURN_IF_ERROR(Pass([](int64_t, Block m, Block, Block) { return Rows(m); }, ctx));
    ASSIGN_OR_RETURN(const SymmetricEigen first, EigenOf(Gram(), static_cast<size_t>(d_), ctx));
    const double largest = std::sqrt(std::max(0.0, first.values.back()));
    if (!(largest > 0)) return Gram();  // nothing varies
    const double scale = std::max(largest, most / lambda_);
    for (size_t i = 0; i < M_.size(); ++i) Y_[i] = M_[i] / scale;
    double mu = 1.25 / largest;
    const double mu_most = mu * 1e7;
    RETURN_IF_ERROR(Pass([&](int64_t, Block m, Block s, Block y) { return Rows(m - s + y / mu); }, ctx));
    for (int64_t round = 0; round < rounds; ++round) {
      ASSIGN_OR_RETURN(const Rows shrink, Shrink(1 / mu, ctx));
      RETURN_IF_ERROR(ctx.Check());
      const double next = std::min(mu * kGrowth, mu_most);
      RETURN_IF_ERROR(
          Pass([&](int64_t at, Block m, Block s, Block y) { return Round(shrink, mu, next, at, m, s, y); }, ctx));
      mu = next;
      double error = 0;
      for (const double e : errors_) error += e;
      if (error <= tolerance * tolerance * norm) break;
    }
    RETURN_IF_ERROR(Pass([](int64_t, Block m, Block s, Block) { return Rows(m - s); }, ctx));
    return Gram();
  }

  double lambda() const { return lambda_; }

 private:
  /// One block's step; returns what the next low-rank part is made from.
  Rows Round(const Rows& shrink, double mu, double next, int64_t at, Block m, Block s, Block y) {
    const Rows low = (m - s + y / mu) * shrink;
    double error = 0;
    for (int64_t i = 0; i < m.size(); ++i) {
      const double rest = m.data()[i] - low.data()[i];
      const double sparse = Soft(rest + y.data()[i] / mu, lambda_ / mu), gap = rest - sparse;
      s.data()[i] = sparse;
      y.data()[i] += mu * gap;
      error += gap * gap;
    }
    errors_[static_cast<size_t>(at)] = error;
    return m - s + y / next;
  }

  /// step(block, M, S, Y) for every block of rows; the Gram matrices of what it returns are kept.
  template <typename Step>
  absl::Status Pass(const Step& step, const Context& ctx) {
    return ParallelBlocks(ctx, n_, grain_, [&](int64_t begin, int64_t end) {
      const int64_t rows = end - begin, at = begin / grain_;
      const Rows out = step(at, Block(M_.data() + begin * d_, rows, d_), Block(S_.data() + begin * d_, rows, d_),
                            Block(Y_.data() + begin * d_, rows, d_));
      grams_[static_cast<size_t>(at)].noalias() = out.transpose() * out;
    });
  }

  std::vector<double> Gram() const {
    Rows sum = grams_[0];
    for (size_t i = 1; i < grams_.size(); ++i) sum += grams_[i];
    return {sum.data(), sum.data() + sum.size()};
  }

  /// The matrix that lowers the singular values of what the last pass returned.
  absl::StatusOr<Rows> Shrink(double by, const Context& ctx) const {
    ASSIGN_OR_RETURN(const SymmetricEigen eigen, EigenOf(Gram(), static_cast<size_t>(d_), ctx));
    Rows vectors = Eigen::Map<const Rows>(eigen.vectors.data(), d_, d_), scaled = vectors;
    for (int64_t k = 0; k < d_; ++k) {
      const double singular = std::sqrt(std::max(0.0, eigen.values[static_cast<size_t>(k)]));
      scaled.row(k) *= singular > by ? 1 - by / singular : 0;
    }
    return Rows(vectors.transpose() * scaled);
  }

  int64_t n_, d_;
  std::vector<double> M_, S_, Y_;
  double lambda_;
  int64_t grain_;
  std::vector<Rows> grams_;
  std::vector<double> errors_;
};

class RobustPca final : public RowDetector {
 public:
  explicit RobustPca(const ParamSet& params)
      : rounds_(params.Int("max_iter")), tolerance_(params.Real("tol")), most_rows_(params.Int("max_rows")) {}

 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    if (d() > kMaxDimension) return InvalidArgument("rpca: {} columns are more than {}", d(), kMaxDimension);
    RETURN_IF_ERROR(Standardise(rows, static_cast<size_t>(n), ctx));
    const int64_t used = std::min(n, most_rows_);
    std::vector<double> table;
    table.reserve(static_cast<size_t>(used) * d());
    RETURN_IF_ERROR(Blocks(ctx, used, RowsPerLook(4 * features()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const double* const row = rows.data() + i * n / used * features();
        for (size_t j = 0; j < d(); ++j) table.push_back(std::clamp(Z(j, row[j]), -kMostFitted, kMostFitted));
      }
    }));
    Pursuit pursuit(std::move(table), static_cast<size_t>(used), d());
    ASSIGN_OR_RETURN(const std::vector<double> gram, pursuit.Run(rounds_, tolerance_, ctx));
    ASSIGN_OR_RETURN(const SymmetricEigen eigen, EigenOf(gram, d(), ctx));
    metric_.assign(d() * d(), 0);
    for (size_t k = 0; k < d(); ++k) {
      const double singular = std::sqrt(std::max(0.0, eigen.values[k]));
      const double weight = 1 / std::max(pursuit.lambda() * singular, kLeastSpread);
      const double* const v = eigen.vectors.data() + k * d();
      for (size_t a = 0; a < d(); ++a) {
        for (size_t b = 0; b < d(); ++b) metric_[a * d() + b] += v[a] * v[b] * weight;
      }
    }
    return ctx.Check();
  }

  /// Robustly: the errors that are to be found would widen a deviation.
  absl::Status Standardise(std::span<const double> rows, size_t n, const Context& ctx) {
    median_.assign(d(), 0);
    scale_.assign(d(), 1);
    return ParallelBlocks(ctx, features(), 1, [&](int64_t at, int64_t) {
      const auto j = static_cast<size_t>(at);
      std::vector<double> column(n);
      for (size_t i = 0; i < n; ++i) column[i] = rows[i * d() + j];
      const double deviation = std::sqrt(MomentsOf(column, 1).variance);
      median_[j] = MedianInPlace(column);
      for (double& v : column) v = std::fabs(v - median_[j]);
      double spread = 1.4826 * MedianInPlace(column);
      if (!(spread > 1e-3 * deviation)) spread = deviation;  // most values are equal
      if (spread > 1e-13 * std::fabs(median_[j]) && spread > 1e-150) scale_[j] = 1 / spread;
    });
  }
  double Z(size_t j, double x) const { return std::clamp((x - median_[j]) * scale_[j], -kMostScored, kMostScored); }

  /// The row's parts of the minimum, and its share of the low-rank part (standardised), by coordinate descent.
  void Split(std::span<const double> x, std::vector<double>& parts, std::vector<double>& low) const {
    const size_t side = d();
    std::vector<double> z(side), error(side, 0), gradient(side, 0);
    double most = 1;
    for (size_t j = 0; j < side; ++j) most = std::max(most, std::fabs(z[j] = Z(j, x[j])));
    const auto multiply = [&](const std::vector<double>& by) {
      for (size_t a = 0; a < side; ++a) {
        double sum = 0;
        for (size_t b = 0; b < side; ++b) sum += metric_[a * side + b] * by[b];
        gradient[a] = sum;
      }
    };
    multiply(z);
    for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
      double moved = 0;
      for (size_t j = 0; j < side; ++j) {
        const double curvature = metric_[j * side + j];
        const double change = Soft(error[j] + gradient[j] / curvature, 1 / curvature) - error[j];
        if (change == 0) continue;
        error[j] += change;
        for (size_t b = 0; b < side; ++b) gradient[b] -= metric_[j * side + b] * change;
        moved = std::max(moved, std::fabs(change));
      }
      if (moved <= 1e-9 * most) break;
    }
    low.resize(side);
    parts.resize(side);
    for (size_t j = 0; j < side; ++j) low[j] = z[j] - error[j];
    multiply(low);
    for (size_t j = 0; j < side; ++j) parts[j] = std::fabs(error[j]) + 0.5 * low[j] * gradient[j];
  }

  double ScoreRow(std::span<const double> x) const override {
    std::vector<double> parts, low;
    Split(x, parts, low);
    return Total(parts);
  }
  static double Total(std::span<const double> parts) {
    double sum = 0;
    for (const double part : parts) sum += part;
    return std::isnan(sum) ? std::numeric_limits<double>::max() : sum;
  }
  /// Each column's error and its share of the low-rank part's cost: they add up to the score.
  bool ExplainRow(std::span<const double> x, std::span<double> parts,
                  std::span<double> expected, double* score) const override {
    std::vector<double> own, low;
    Split(x, own, low);
    *score = Total(own);
    for (size_t j = 0; j < d(); ++j) {
      parts[j] = std::isnan(own[j]) ? 0 : own[j];
      expected[j] = median_[j] + (std::isnan(low[j]) ? 0 : low[j]) / scale_[j];
    }
    return true;
  }
  bool ExplainsWithScore() const override { return true; }
  int64_t BlockRows() const override {
    return std::clamp<int64_t>(300'000 / static_cast<int64_t>(d() * d() + 20), 1, 256);
  }

  void SaveState(ByteWriter& out) const override {
    for (const auto* v : {&median_, &scale_, &metric_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    if (d() > kMaxDimension) return in.Fail("there are too many columns");
    median_ = ReadDoubles(in, "the medians", features());
    scale_ = ReadDoubles(in, "the scales", features());
    metric_ = ReadDoubles(in, "the metric", features() * features());
    if (!in.ok()) return;
    for (size_t j = 0; j < d(); ++j) {
      if (!(scale_[j] > 1e-160 && scale_[j] < 1e160) || std::fabs(median_[j]) > RowUnit::kMaxValue)
        return in.Fail("a scale is out of range");
      if (!(metric_[j * d() + j] > 1e-12)) return in.Fail("the metric is not positive");
    }
    for (const double v : metric_) {
      if (std::fabs(v) > 2 / kLeastSpread) return in.Fail("the metric is out of range");
    }
  }

  int64_t rounds_;
  double tolerance_;
  int64_t most_rows_;
  std::vector<double> median_, scale_;
  std::vector<double> metric_;  ///< G / lambda, d x d
};

constexpr ParamSpec kParams[] = {
    {.name = "max_iter",
     .type = ParamType::kInt,
     .default_value = "200",
     .min = 1,
     .max = 10000,
     .summary = "Most rounds of the pursuit."},
    {.name = "tol",
     .type = ParamType::kReal,
     .default_value = "1e-7",
     .min = 1e-12,
     .max = 0.1,
     .summary = "The pursuit ends when the two parts add up to the table within this, relative."},
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "20000",
     .min = 10,
     .max = 1000000,
     .summary = "Of more training rows, so many evenly spaced ones are split; all are scored."},
};

}  // namespace

extern const Descriptor k_rpca;
const Descriptor k_rpca = {
    .name = "rpca",
    .family = "linear",
    .summary =
        "What a row does not share with the few directions that explain the table once gross errors are set aside: "
        "broken linear "
        "relations, also with many anomalies in the training rows. Near the sum of robust deviations where columns are "
        "unrelated.",
    .paper = "E. J. Candes, X. Li, Y. Ma, J. Wright, Robust principal component analysis?, J. ACM, 2011",
    .params = kParams,
    .deterministic = true,
    .fit_cost = "O(t (n d^2 + d^3)), t the rounds, n up to max_rows",
    .score_cost = "O(s d^2), s the sweeps",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double side = static_cast<double>(d), used = static_cast<double>(std::min(n, p.Int("max_rows"))),
                   rows = static_cast<double>(n);
      const double rounds = static_cast<double>(std::min<int64_t>(p.Int("max_iter"), 60)),
                   row = kRowFloor + 1e-9 * side * (1000 + 50 * side);
      return {.fit_seconds = kFitFloor + 1e-9 * rounds * (used * side * (4 + 0.25 * side) + 10 * side * side * side) +
                             rows * (3e-8 * side + row),
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 8 * side * (rows + 3 * used + 24 * side),
              .model_bytes = kBytesFloor + 8 * side * (side + 2)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<RobustPca>(params); },
};

}  // namespace vedette::outlier
