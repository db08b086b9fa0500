// Cook's distance (Cook 1977): each column is regressed on the others by least squares; what a row does to that fit is
// r^2 h / (p mse (1 - h)^2), r its residual, h its leverage (without intercept, as PyOD), p the number of regressors.
// Scaled to [0, 1] over the training rows for each column, the score is the mean over the columns.
//
// All regressions come from two inverses (Gram matrices with and without centring) instead of one fit per column.
// Columns that the others determine exactly have no residual to measure and are left out. A new row is scored as if it
// had joined the training rows: h / (1 + h) and r / (1 + h) are then its leverage and residual.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status.h"
#include "outlier/cholesky.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr size_t kMaxDimension = 2000;
/// Of a column's variance: a smaller share that the others leave unexplained is rounding.
constexpr double kDetermined = 1e-12;
constexpr double kDecides = -1;
constexpr double kLeastPivot = 1e-11;  // columns that the others determine are told from rounding

class CooksDistance final : public RowDetector {
 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    if (d() > kMaxDimension) return InvalidArgument("cd: {} columns are more than {}", d(), kMaxDimension);
    const auto count = static_cast<size_t>(n);
    mean_.assign(d(), 0);
    scale_.assign(d(), 1);
    std::vector<double> square(d(), 0);
    RETURN_IF_ERROR(EachRow(n, ctx, [&](size_t i) {
      const double* const x = rows.data() + i * d();
      for (size_t j = 0; j < d(); ++j) {
        mean_[j] += x[j] / static_cast<double>(n);
        square[j] += x[j] * x[j];
      }
    }));
    for (size_t j = 0; j < d(); ++j) {
      const double norm = std::sqrt(square[j] / static_cast<double>(n));
      if (norm > 1e-140)
        scale_[j] = 1 / norm;  // columns of unit norm: the result does not change, the inverse is better
    }
    std::vector<double> scaled;
    scaled.reserve(rows.size());
    RETURN_IF_ERROR(EachRow(n, ctx, [&](size_t i) {
      for (size_t j = 0; j < d(); ++j) scaled.push_back(rows[i * d() + j] * scale_[j]);
    }));
    for (size_t j = 0; j < d(); ++j) mean_[j] *= scale_[j];
    const std::vector<double> zero(d(), 0), ones(count, 1);
    ASSIGN_OR_RETURN(const std::vector<double> about_mean, Covariance(scaled, ones, 1, mean_.data(), d(), ctx));
    ASSIGN_OR_RETURN(centred_, Inverse(about_mean, ctx));
    ASSIGN_OR_RETURN(const std::vector<double> about_zero, Covariance(scaled, ones, 1, zero.data(), d(), ctx));
    ASSIGN_OR_RETURN(gram_, Inverse(about_zero, ctx));
    return Scale(scaled, count, ctx);
  }

  /// f(i) for all rows, in their order.
  template <typename F>
  absl::Status EachRow(int64_t n, const Context& ctx, const F& f) const {
    return Blocks(ctx, n, RowsPerLook(4 * features()), [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) f(i);
    });
  }

  /// The inverse, with a ridge where it needs one.
  absl::StatusOr<std::vector<double>> Inverse(const std::vector<double>& matrix, const Context& ctx) const {
    double most = 1;  // columns have unit norm
    for (size_t j = 0; j < d(); ++j) most = std::max(most, matrix[j * d() + j]);
    for (double ridge = 0;; ridge = ridge == 0 ? 1e-13 : ridge * 10) {
      std::vector<double> regular = matrix;
      for (size_t j = 0; j < d(); ++j) regular[j * d() + j] += ridge * most;
      ASSIGN_OR_RETURN(const std::vector<double> W, InverseCholesky(regular, d(), ctx, kLeastPivot));
      if (W.empty()) continue;
      std::vector<double> inverse(d() * d(), 0);
      for (size_t k = 0; k < d(); ++k) {
        RETURN_IF_ERROR(ctx.Check());
        for (size_t a = 0; a <= k; ++a) {
          for (size_t b = 0; b <= k; ++b) inverse[a * d() + b] += W[k * d() + a] * W[k * d() + b];
        }
      }
      return inverse;
    }
  }

  /// Mean squared residual of every regression, then least and largest distance over the training rows.
  absl::Status Scale(const std::vector<double>& scaled, size_t n, const Context& ctx) {
    weight_.assign(d(), 0);
    low_.assign(d(), 0);
    range_.assign(d(), 1);
    std::vector<double> residual(d()), leverage(d()), rss(d(), 0), spread(d(), 0);
    std::vector<double> distance;  // of each row, one per column
    distance.reserve(n * d());
    const size_t often = std::clamp<size_t>(20'000'000 / (d() * d()), 1, 4096);
    for (size_t i = 0; i < n; ++i) {
      if (i % often == 0) RETURN_IF_ERROR(ctx.Check());
      Parts(scaled.data() + i * d(), residual.data(), leverage.data());
      for (size_t j = 0; j < d(); ++j) {
        rss[j] += residual[j] * residual[j];
        spread[j] += std::pow(scaled[i * d() + j] - mean_[j], 2);
        // A row that alone decides a coefficient (the only one of its category) has leverage 1 and no residual, 0 / 0:
        // its influence is as large as can be, and counts as the largest of the others (see below).
        const double left = 1 - leverage[j];
        distance.push_back(left > 1e-9 ? residual[j] * residual[j] * leverage[j] / (left * left) : kDecides);
      }
    }
    const auto rows = static_cast<int64_t>(n);
    std::vector<double> least(d(), std::numeric_limits<double>::infinity()), most(d(), 0);
    RETURN_IF_ERROR(EachRow(rows, ctx, [&](size_t i) {
      for (size_t j = 0; j < d(); ++j) {
        const double v = distance[i * d() + j];
        most[j] = std::max(most[j], v);  // kDecides is below
        least[j] = v == kDecides ? least[j] : std::min(least[j], v);
      }
    }));
    const double regressors = std::max(1.0, static_cast<double>(d() - 1));
    const double freedom = std::max(1.0, static_cast<double>(n) - regressors);
    for (size_t j = 0; j < d(); ++j) {
      const double mse = rss[j] / freedom;
      if (!(rss[j] > kDetermined * spread[j])) continue;
      weight_[j] = 1 / (mse * regressors);
      least[j] = std::min(least[j], most[j]);
      low_[j] = least[j] * weight_[j];
      range_[j] = (most[j] - least[j]) * weight_[j];
      if (!(range_[j] > 0) || !std::isfinite(weight_[j]) || !std::isfinite(range_[j]))
        weight_[j] = 0, low_[j] = 0, range_[j] = 1;
    }
    // Training scores are made of these: a row is then part of the fit already.
    training_.assign(n, 0);
    return EachRow(rows, ctx, [&](size_t i) {
      double sum = 0, columns = 0;
      for (size_t j = 0; j < d(); ++j) {
        if (!(weight_[j] > 0)) continue;
        const double v = distance[i * d() + j];
        sum += ((v == kDecides ? most[j] : v) * weight_[j] - low_[j]) / range_[j];
        columns += 1;
      }
      training_[i] = columns > 0 ? sum / columns : 0;
    });
  }

  absl::StatusOr<std::vector<double>> TrainingScores(std::span<const double>, int64_t, const Context&) override {
    return std::move(training_);
  }

  /// Residuals and leverages of a scaled row in all regressions.
  void Parts(const double* x, double* residual, double* leverage) const {
    double quadratic = 0;
    for (size_t a = 0; a < d(); ++a) {
      double py = 0, qx = 0;
      for (size_t b = 0; b < d(); ++b) {
        py += centred_[a * d() + b] * (x[b] - mean_[b]);
        qx += gram_[a * d() + b] * x[b];
      }
      residual[a] = py / centred_[a * d() + a];
      leverage[a] = qx;
      quadratic += qx * x[a];
    }
    for (size_t a = 0; a < d(); ++a) {
      leverage[a] = d() == 1 ? quadratic : std::max(0.0, quadratic - leverage[a] * leverage[a] / gram_[a * d() + a]);
    }
  }

  /// A new row, scaled, with its residuals and leverages.
  struct Regressions {
    std::vector<double> scaled, residual, leverage;
  };
  Regressions Regress(std::span<const double> x) const {
    Regressions r{std::vector<double>(d()), std::vector<double>(d()), std::vector<double>(d())};
    for (size_t j = 0; j < d(); ++j) r.scaled[j] = std::clamp(x[j] * scale_[j], -1e60, 1e60);
    Parts(r.scaled.data(), r.residual.data(), r.leverage.data());
    return r;
  }
  double ScoreOf(std::span<const double> residual, std::span<const double> leverage) const {
    double columns = 0, sum = 0;
    for (size_t j = 0; j < d(); ++j) columns += weight_[j] > 0;
    for (size_t j = 0; j < d(); ++j) {
      // With h' = h / (1 + h) and r' = r / (1 + h): r'^2 h' / (1 - h')^2 = r^2 h / (1 + h).
      const double h = std::min(leverage[j], 1e140);
      const double part =
          weight_[j] > 0 ? (residual[j] * residual[j] * (h / (1 + h)) * weight_[j] - low_[j]) / range_[j] / columns : 0;
      sum += std::isnan(part) ? 0 : std::clamp(part, -1e300, 1e300);
    }
    return sum;
  }
  double ScoreRow(std::span<const double> x) const override {
    const Regressions r = Regress(x);
    return ScoreOf(r.residual, r.leverage);
  }
  bool ExplainRow(std::span<const double> x, std::span<double> parts,
                  std::span<double> expected, double* found) const override {
    const auto [scaled, residual, leverage] = Regress(x);
    const double score = Finite(ScoreOf(residual, leverage));
    *found = score;
    // The same odd value shows in every regression; it is the feature's whose part in the Mahalanobis distance is
    // large.
    double sum = 0;
    for (size_t j = 0; j < d(); ++j) {
      const double part = (scaled[j] - mean_[j]) * residual[j] * centred_[j * d() + j];
      sum += parts[j] = std::clamp(std::isnan(part) ? 0 : part, 0.0, 1e290);
    }
    for (size_t j = 0; j < d(); ++j) parts[j] = sum > 0 ? score * (parts[j] / sum) : score / static_cast<double>(d());
    for (size_t j = 0; j < d(); ++j) expected[j] = std::clamp((scaled[j] - residual[j]) / scale_[j], -1e100, 1e100);
    return true;
  }
  bool ExplainsWithScore() const override { return true; }

  int64_t BlockRows() const override {
    return std::clamp<int64_t>(20'000'000 / static_cast<int64_t>(d() * d()), 1, 256);
  }
  void SaveState(ByteWriter& out) const override {
    for (const auto* v : {&mean_, &scale_, &centred_, &gram_, &weight_, &low_, &range_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    if (d() > kMaxDimension) return in.Fail("there are too many columns");
    mean_ = ReadDoubles(in, "the means", features());
    scale_ = ReadDoubles(in, "the scales", features());
    centred_ = ReadDoubles(in, "the centred inverse", features() * features());
    gram_ = ReadDoubles(in, "the inverse", features() * features());
    weight_ = ReadDoubles(in, "the weights", features());
    low_ = ReadDoubles(in, "the least distances", features());
    range_ = ReadDoubles(in, "the ranges", features());
    if (!in.ok()) return;
    for (size_t j = 0; j < d(); ++j) {
      if (!(scale_[j] > 0 && scale_[j] < 1e150 && range_[j] > 0 && weight_[j] >= 0))
        return in.Fail("a column's scale is out of range");
      if (!(centred_[j * d() + j] > 0 && gram_[j * d() + j] > 0)) return in.Fail("an inverse is not positive");
    }
    for (const auto* v : {&mean_, &centred_, &gram_}) {
      for (const double x : *v) {
        if (std::fabs(x) > 1e60) return in.Fail("a number is out of range");
      }
    }
  }

  std::vector<double> mean_, scale_, centred_, gram_, weight_, low_, range_, training_;
};

}  // namespace

extern const Descriptor k_cd;
const Descriptor k_cd = {
    .name = "cd",
    .family = "linear",
    .summary =
        "How much a row would bend the linear relations between the columns (Cook's distance, mean over the columns): "
        "broken "
        "relations and far-out values. Nothing where columns do not depend on each other linearly.",
    .paper = "R. D. Cook, Detection of influential observation in linear regression, Technometrics, 1977",
    .params = {},
    .deterministic = true,
    .own_training_scores = true,
    .fit_cost = "O(n d^2 + d^3)",
    .score_cost = "O(d^2)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      const double side = static_cast<double>(d);
      return PassCost(n, d, 10 + 4 * side, 2 + 2 * side, 16 * side * (side + 3)).PlusFit(3e-9 * side * side * side);
    },
    .make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<CooksDistance>(); },
};

}  // namespace vedette::outlier
