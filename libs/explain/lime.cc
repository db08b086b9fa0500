#include "explain/lime.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/columns.h"

namespace vedette::explain {
namespace {

constexpr int64_t kBatchRows = 4096;
constexpr int64_t kMaxSamples = 1000000;
constexpr uint64_t kLimeStream = 0x6c696d65;

/// How one feature is drawn, and how a draw is seen by the linear model.
struct Feature {
  double mean = 0, sd = 0;  ///< sd 0: constant, never moved
  // Quartile mode: bin k holds edge[k] < v <= edge[k + 1].
  std::array<double, 5> edge{};
  std::array<double, 4> bin_share{}, bin_mean{}, bin_sd{};
  size_t bin = 0;  ///< the row's
};

double Quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

size_t BinOf(const Feature& f, double x) {
  size_t bin = 0;
  while (bin < 3 && x > f.edge[bin + 1]) ++bin;
  return bin;
}

void FindBins(std::span<const double> column, double x, Feature& f) {
  std::vector<double> sorted(column.begin(), column.end());
  std::sort(sorted.begin(), sorted.end());
  for (size_t k = 0; k < 5; ++k) f.edge[k] = Quantile(sorted, 0.25 * static_cast<double>(k));
  std::array<double, 4> count{}, sum{}, squares{};
  for (const double v : column) {
    const size_t k = BinOf(f, v);
    count[k] += 1;
    sum[k] += v;
  }
  for (size_t k = 0; k < 4; ++k) f.bin_mean[k] = count[k] > 0 ? sum[k] / count[k] : f.edge[k];
  for (const double v : column) {
    const size_t k = BinOf(f, v);
    squares[k] += (v - f.bin_mean[k]) * (v - f.bin_mean[k]);
  }
  for (size_t k = 0; k < 4; ++k) {
    f.bin_sd[k] = count[k] > 0 ? std::sqrt(squares[k] / count[k]) : 0;
    f.bin_share[k] = count[k] / static_cast<double>(column.size());
  }
  f.bin = BinOf(f, x);
}

/// A normal of the bin's mean and deviation, between its edges: by rejection, in the bin's middle after many misses.
double DrawInBin(const Feature& f, size_t bin, Rng& rng) {
  if (!(f.bin_sd[bin] > 0)) return f.bin_mean[bin];
  for (int trial = 0; trial < 200; ++trial) {
    const double v = f.bin_mean[bin] + f.bin_sd[bin] * rng.Normal();
    if (v >= f.edge[bin] && v <= f.edge[bin + 1]) return v;
  }
  return f.bin_mean[bin];
}

size_t DrawBin(const Feature& f, Rng& rng) {
  double u = rng.Uniform();
  size_t bin = 0;
  while (bin < 3 && u >= f.bin_share[bin]) u -= f.bin_share[bin++];
  while (bin > 0 && f.bin_share[bin] <= 0) --bin;  // rounding at the upper end
  return bin;
}

std::vector<Feature> Describe(std::span<const double> row, MatrixView reference, LimeMode mode) {
  std::vector<Feature> features(row.size());
  for (size_t j = 0; j < row.size(); ++j) {
    const auto column = reference.col(static_cast<int64_t>(j));
    const auto [low, high] = outlier::RangeOf(column);
    const double unit = outlier::UnitFor(std::max(std::fabs(low), std::fabs(high)));
    const outlier::Moments moments = outlier::MomentsOf(column, unit);
    features[j].mean = moments.mean / unit;
    features[j].sd = low == high ? 0 : std::sqrt(moments.variance) / unit;
    if (mode == LimeMode::kQuartile && features[j].sd > 0) FindBins(column, row[j], features[j]);
  }
  return features;
}

struct Draws {
  Matrix X;           ///< what is scored
  Eigen::MatrixXd U;  ///< samples x features as the linear model sees them
  Eigen::VectorXd weight;
};

Draws Draw(std::span<const double> row, const std::vector<Feature>& features, const LimeOptions& options, double width,
           uint64_t seed) {
  const auto d = static_cast<int64_t>(row.size());
  Draws out{Matrix(options.samples, d), Eigen::MatrixXd::Zero(options.samples, d), Eigen::VectorXd(options.samples)};
  Rng rng(seed, kLimeStream);
  for (int64_t i = 0; i < options.samples; ++i) {
    double squared = 0;
    for (int64_t j = 0; j < d; ++j) {
      const Feature& f = features[static_cast<size_t>(j)];
      const double x = row[static_cast<size_t>(j)];
      double value = x;
      if (f.sd > 0 && i > 0) {
        if (options.mode == LimeMode::kQuartile) {
          const size_t bin = DrawBin(f, rng);
          value = DrawInBin(f, bin, rng);
          out.U(i, j) = bin == f.bin ? 1 : 0;
        } else {
          value = (options.mode == LimeMode::kAroundRow ? x : f.mean) + f.sd * rng.Normal();
        }
      }
      out.X(i, j) = value;
      if (!(f.sd > 0)) continue;
      const bool bins = options.mode == LimeMode::kQuartile;
      const double here = bins ? 1 : (x - f.mean) / f.sd;
      if (bins && i == 0) out.U(i, j) = 1;
      if (!bins) out.U(i, j) = (value - f.mean) / f.sd;
      squared += (out.U(i, j) - here) * (out.U(i, j) - here);
    }
    out.weight[i] = std::exp(-squared / (2 * width * width));
  }
  return out;
}

void Regress(const Draws& draws, const Eigen::VectorXd& y, double ridge, LimeFit* fit) {
  const double total = draws.weight.sum();
  const Eigen::RowVectorXd mean = (draws.weight.transpose() * draws.U) / total;
  const double y_mean = draws.weight.dot(y) / total;
  const Eigen::MatrixXd U = draws.U.rowwise() - mean;
  const Eigen::VectorXd target = y.array() - y_mean;
  const Eigen::MatrixXd weighted = draws.weight.asDiagonal() * U;
  Eigen::MatrixXd A = U.transpose() * weighted;
  A.diagonal().array() += ridge;
  const Eigen::LDLT<Eigen::MatrixXd> solver(A);
  const Eigen::VectorXd c = solver.solve(weighted.transpose() * target);
  const Eigen::VectorXd residual = target - U * c;
  const double spread = (draws.weight.array() * target.array().square()).sum();
  fit->spread = std::sqrt(std::max(0.0, spread / total));
  fit->r2 = spread > 0 ? 1 - (draws.weight.array() * residual.array().square()).sum() / spread : 0;
  fit->intercept = y_mean - mean.dot(c);
  fit->coefficients.assign(c.data(), c.data() + c.size());
  const Eigen::MatrixXd scores = residual.asDiagonal() * weighted;
  const Eigen::MatrixXd half = solver.solve(scores.transpose() * scores);
  const Eigen::MatrixXd covariance = solver.solve(half.transpose());
  for (Eigen::Index j = 0; j < c.size(); ++j) fit->standard_error.push_back(std::sqrt(std::max(0.0, covariance(j, j))));
}

absl::Status Check(std::span<const double> row, MatrixView reference, const LimeOptions& options) {
  if (row.empty() || reference.cols != static_cast<int64_t>(row.size()) || reference.rows < 2) {
    return InvalidArgument("a row of {} values and a reference of {} x {} do not go together", row.size(),
                           reference.rows, reference.cols);
  }
  if (options.samples < 10 || options.samples > kMaxSamples) {
    return InvalidArgument("{} samples, 10 to {} are possible", options.samples, kMaxSamples);
  }
  if (!(options.kernel_width >= 0) || !(options.ridge >= 0) || !std::isfinite(options.kernel_width + options.ridge)) {
    return InvalidArgument("the kernel width and the ridge penalty must be finite and not negative");
  }
  for (int64_t j = 0; j < reference.cols; ++j) {
    const auto column = reference.col(j);
    if (!std::isfinite(row[static_cast<size_t>(j)]) ||
        !std::all_of(column.begin(), column.end(), [](double x) { return std::isfinite(x); })) {
      return InvalidArgument("LIME needs finite numbers; feature {} has a missing value", j);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LimeFit> Lime(const ScoreFn& score, std::span<const double> row, MatrixView reference,
                             const LimeOptions& options, const Context& ctx) {
  RETURN_IF_ERROR(Check(row, reference, options));
  const std::vector<Feature> features = Describe(row, reference, options.mode);
  const double width =
      options.kernel_width > 0 ? options.kernel_width : 0.75 * std::sqrt(static_cast<double>(row.size()));
  const Draws draws = Draw(row, features, options, width, ctx.seed);
  Eigen::VectorXd y(options.samples);
  for (int64_t begin = 0; begin < options.samples; begin += kBatchRows) {
    RETURN_IF_ERROR(ctx.Check());
    const int64_t count = std::min(kBatchRows, options.samples - begin);
    RETURN_IF_ERROR(
        score(draws.X.view().Rows(begin, count), std::span(y.data() + begin, static_cast<size_t>(count)), ctx));
  }
  Eigen::VectorXd of_reference(reference.rows);
  RETURN_IF_ERROR(score(reference, std::span(of_reference.data(), static_cast<size_t>(reference.rows)), ctx));
  if (!y.allFinite() || !of_reference.allFinite()) return InvalidArgument("the score is not finite near the row");
  LimeFit fit;
  fit.usual_spread = std::sqrt((of_reference.array() - of_reference.mean()).square().mean());
  fit.output = y[0];
  Regress(draws, y, options.ridge, &fit);
  fit.expected = fit.prediction = fit.intercept;
  for (size_t j = 0; j < features.size(); ++j) {
    const Feature& f = features[j];
    // Quartile mode counts from how often a normal row is in that bin, the others from the mean, where u is 0.
    const double usual = options.mode == LimeMode::kQuartile && f.sd > 0 ? f.bin_share[f.bin] : 0;
    const double here = draws.U(0, static_cast<Eigen::Index>(j));
    fit.centre.push_back(f.mean);
    fit.contributions.push_back(fit.coefficients[j] * (here - usual));
    fit.expected += fit.coefficients[j] * usual;
    fit.prediction += fit.coefficients[j] * here;
  }
  return fit;
}

}  // namespace vedette::explain
