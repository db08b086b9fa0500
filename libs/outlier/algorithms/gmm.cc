// Gaussian mixture: minus the log density of a mixture of normal distributions, fitted by expectation maximisation from
// a k-means start (fixed, so that the seed does not matter), as scikit-learn's GaussianMixture. Units matter as they
// are: 1e-6 is added to each variance.
#include <absl/container/fixed_array.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/status.h"
#include "outlier/cholesky.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/kernels/kmeans.h"
#include "outlier/kernels/row_parts.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr size_t kMaxDimension = 2000;
constexpr uint64_t kStartSeed = 42;
constexpr int64_t kBlock = 256;
constexpr double kLeastShare = 10 * std::numeric_limits<double>::epsilon();  // of a component, in rows

class GaussianMixture final : public TileDetector {
 public:
  explicit GaussianMixture(const ParamSet& params)
      : wanted_(params.Int("n_components")),
        diagonal_(params.Choice("covariance_type") == "diag"),
        regularisation_(params.Real("reg_covar")),
        rounds_(params.Int("max_iter")),
        tolerance_(params.Real("tol")) {}

 private:
  /// One component has a closed form, and needs no copy of the rows.
  absl::Status LearnFrom(MatrixView X, const Context& ctx) override {
    if (wanted_ > 1) return TileDetector::LearnFrom(X, ctx);
    if (d() > kMaxDimension) return InvalidArgument("gmm: {} columns are more than {}", d(), kMaxDimension);
    const double total = static_cast<double>(X.rows) + kLeastShare, used = static_cast<double>(X.rows) / total;
    mean_.assign(d(), 0);
    factor_.assign(d() * d(), 0);
    log_weight_.assign(1, 0);
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.cols, 1, [&](int64_t j, int64_t) {
      mean_[static_cast<size_t>(j)] = MomentsOf(X.col(j), unit().unit()).mean * used;
    }));
    const auto read = [&](size_t begin, size_t count, double* y) -> std::span<const double> {
      for (size_t j = 0; j < d(); ++j, y += kCovarianceRows) {
        unit().Column(X, static_cast<int64_t>(j), static_cast<int64_t>(begin), static_cast<int64_t>(count), y);
        for (size_t r = 0; r < count; ++r) y[r] -= mean_[j];
      }
      return {};
    };
    ASSIGN_OR_RETURN(std::vector<double> covariance, CovarianceOf(static_cast<size_t>(X.rows), d(), total, read, ctx));
    RETURN_IF_ERROR(Factor(std::move(covariance), 0, ctx));
    SetWeight(0, total / static_cast<double>(X.rows));
    return absl::OkStatus();
  }

  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    if (d() > kMaxDimension) return InvalidArgument("gmm: {} columns are more than {}", d(), kMaxDimension);
    const auto count = static_cast<size_t>(n);
    Context start = ctx;
    start.seed = kStartSeed;
    ASSIGN_OR_RETURN(const KMeansFit fit, KMeans(rows, n, features(), {.clusters = wanted_, .starts = 1}, start));
    const size_t k = fit.sizes.size();
    std::vector<double> share(count * k, 0);  // row-major
    for (size_t i = 0; i < count; ++i) share[i * k + static_cast<size_t>(fit.labels[i])] = 1;
    double before = -std::numeric_limits<double>::infinity();
    for (int64_t round = 0; round < rounds_; ++round) {
      RETURN_IF_ERROR(Maximise(rows, share, count, k, ctx));
      ASSIGN_OR_RETURN(const double density, Expect(rows, &share, count, k, ctx));
      if (std::fabs(density - before) < tolerance_) break;
      before = density;
    }
    return absl::OkStatus();
  }

  absl::Status Maximise(std::span<const double> rows, const std::vector<double>& share, size_t n, size_t k,
                        const Context& ctx) {
    mean_.assign(k * d(), 0);
    factor_.assign(k * d() * d(), 0);
    log_weight_.assign(k, 0);
    std::vector<absl::Status> done(k);
    RETURN_IF_ERROR(ParallelBlocks(ctx, static_cast<int64_t>(k), 1, [&](int64_t component, int64_t) {
      const auto c = static_cast<size_t>(component);
      std::vector<double> weight(n);
      double total = kLeastShare;
      for (size_t i = 0; i < n; ++i) total += weight[i] = share[i * k + c];
      double* const mean = mean_.data() + c * d();
      for (size_t i = 0; i < n; ++i) {
        if (weight[i] == 0) continue;
        for (size_t j = 0; j < d(); ++j) mean[j] += weight[i] * rows[i * d() + j];
      }
      for (size_t j = 0; j < d(); ++j) mean[j] /= total;
      absl::StatusOr<std::vector<double>> covariance = Covariance(rows, weight, total, mean, d(), ctx);
      done[c] = covariance.ok() ? Factor(*std::move(covariance), c, ctx) : covariance.status();
      SetWeight(c, total / static_cast<double>(n));
    }));
    for (const absl::Status& status : done) RETURN_IF_ERROR(status);
    return absl::OkStatus();
  }

  /// Regularised in the data's own units; columns of extreme magnitude, whose variance swallows that, are helped
  /// relatively.
  absl::Status Factor(std::vector<double> covariance, size_t c, const Context& ctx) {
    const double own = std::min(regularisation_ * unit().unit() * unit().unit(), 1e200);
    if (diagonal_) {
      for (size_t a = 0; a < d(); ++a) {
        for (size_t b = 0; b < d(); ++b) covariance[a * d() + b] *= a == b;
      }
    }
    for (double relative = 0; relative < 1; relative = relative == 0 ? 1e-14 : relative * 100) {
      std::vector<double> regular = covariance;
      double trace = 0;
      for (size_t j = 0; j < d(); ++j) trace = std::max(trace, covariance[j * d() + j]);
      for (size_t j = 0; j < d(); ++j) {
        regular[j * d() + j] = std::max(regular[j * d() + j] + own + relative * trace, 1e-200);
      }
      ASSIGN_OR_RETURN(const std::vector<double> W, InverseCholesky(regular, d(), ctx));
      if (W.empty()) continue;
      std::copy(W.begin(), W.end(), factor_.begin() + static_cast<int64_t>(c * d() * d()));
      return absl::OkStatus();
    }
    return InvalidArgument("gmm: a covariance has no inverse; give a larger reg_covar, or fewer components");
  }

  /// The log of the component's share of the rows, with the normalisation of its density.
  void SetWeight(size_t c, double share) {
    double log_det = 0;
    for (size_t j = 0; j < d(); ++j) log_det += std::log(factor_[(c * d() + j) * d() + j]);
    log_weight_[c] = std::log(share) + log_det - 0.5 * static_cast<double>(d()) * std::log(2 * std::numbers::pi);
  }

  /// Shares of the components in each row; the mean log density.
  absl::StatusOr<double> Expect(std::span<const double> rows, std::vector<double>* share, size_t n, size_t k,
                                const Context& ctx) const {
    std::vector<double> density(n);
    RETURN_IF_ERROR(ParallelBlocks(ctx, static_cast<int64_t>(n), kBlock, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        double* const out = share->data() + i * k;
        density[i] = LogDensity(rows.data() + i * d(), out);
        for (size_t c = 0; c < k; ++c) out[c] = std::exp(out[c] - density[i]);
      }
    }));
    double sum = 0;
    for (const double v : density) sum += v;
    return sum / static_cast<double>(n);
  }

  /// log density; `parts` gets the components' log densities (weights included).
  double LogDensity(const double* x, double* parts) const {
    const size_t k = log_weight_.size();
    double most = -std::numeric_limits<double>::infinity();
    for (size_t c = 0; c < k; ++c) {
      parts[c] = log_weight_[c] -
                 0.5 * WhitenedSquare({factor_.data() + c * d() * d(), d() * d()}, x, mean_.data() + c * d(), d());
      most = std::max(most, parts[c]);
    }
    if (k == 1 || !std::isfinite(most)) return most;
    double sum = 0;
    for (size_t c = 0; c < k; ++c) sum += std::exp(parts[c] - most);
    return most + std::log(sum);
  }

  /// parts[c * kWide + r]: row r's log density in component c, weight included.
  void Densities(const RowTile& tile, double* parts) const {
    for (size_t c = 0; c < log_weight_.size(); ++c, parts += RowTile::kWide) {
      WhitenedSquares({factor_.data() + c * d() * d(), d() * d()}, tile.values, tile.lanes, mean_.data() + c * d(), d(),
                      parts);
      for (int r = 0; r < tile.lanes; ++r) parts[r] = log_weight_[c] - 0.5 * parts[r];
    }
  }

  void ScoreTile(const RowTile& tile, double* scores) const override {
    const size_t k = log_weight_.size();
    // In the data's own units a density is larger by unit^d.
    const double own = static_cast<double>(d()) * std::log(unit().unit());
    std::vector<double> parts(k * RowTile::kWide);
    Densities(tile, parts.data());
    for (int r = 0; r < tile.lanes; ++r) {
      double most = -std::numeric_limits<double>::infinity(), sum = 0;
      for (size_t c = 0; c < k; ++c) most = std::max(most, parts[c * RowTile::kWide + static_cast<size_t>(r)]);
      if (k > 1 && std::isfinite(most)) {
        for (size_t c = 0; c < k; ++c) sum += std::exp(parts[c * RowTile::kWide + static_cast<size_t>(r)] - most);
        most += std::log(sum);
      }
      scores[r] = -most - own;
    }
  }

  /// Parts of half the squared Mahalanobis distance to component c.
  void ComponentParts(const RowTile& tile, size_t c, const RowParts& out) const {
    absl::FixedArray<double, 1024> work(2 * d() * static_cast<size_t>(tile.lanes));
    const QuadraticForm form{
        .A = factor_.data() + c * d() * d(), .center = mean_.data() + c * d(), .d = features(), .factor = 0.5};
    QuadraticParts(form, tile.values, tile.lanes, work.data(), out.contributions, out.stride);
  }

  /// Parts of half the squared Mahalanobis distance to the row's likeliest component; expected is its mean.
  bool ExplainTile(const RowTile& tile, const RowParts& out) const override {
    const size_t k = log_weight_.size(), lanes = static_cast<size_t>(tile.lanes);
    if (k == 1) {
      ComponentParts(tile, 0, out);
      return true;
    }
    absl::FixedArray<double, 512> densities(k * RowTile::kWide), parts(d() * lanes);
    Densities(tile, densities.data());
    size_t likeliest[RowTile::kWide] = {};
    for (size_t r = 0; r < lanes; ++r) {
      for (size_t c = 1; c < k; ++c) {
        if (densities[c * RowTile::kWide + r] > densities[likeliest[r] * RowTile::kWide + r]) likeliest[r] = c;
      }
    }
    for (size_t c = 0; c < k; ++c) {
      if (std::find(likeliest, likeliest + lanes, c) == likeliest + lanes) continue;
      ComponentParts(tile, c, {parts.data(), nullptr, tile.lanes});
      for (size_t r = 0; r < lanes; ++r) {
        if (likeliest[r] != c) continue;
        const RowParts own = out.From(static_cast<int64_t>(r));
        for (size_t j = 0; j < d(); ++j) {
          own.contributions[static_cast<int64_t>(j) * out.stride] = parts[j * lanes + r];
          own.expected[static_cast<int64_t>(j) * out.stride] = mean_[c * d() + j];
        }
      }
    }
    return true;
  }
  std::span<const double> Usual() const override {
    return log_weight_.size() == 1 ? std::span<const double>(mean_) : std::span<const double>();
  }
  std::string_view space() const override { return "half the squared Mahalanobis distance"; }

  int64_t BlockRows() const override {
    return std::clamp<int64_t>(50'000'000 / static_cast<int64_t>(factor_.size() + 1) / 16 * 16, 16, 1024);
  }
  void SaveState(ByteWriter& out) const override {
    out.I64(static_cast<int64_t>(log_weight_.size()));
    out.Doubles(log_weight_);
    out.Doubles(mean_);
    out.Doubles(factor_);
  }
  void LoadState(ByteReader& in) override {
    const int64_t k = ReadInt(in, "the number of components", 1, 10000);
    if (features() > static_cast<int64_t>(kMaxDimension)) return in.Fail("there are too many columns");
    log_weight_ = ReadDoubles(in, "the weights", k);
    mean_ = ReadDoubles(in, "the means", k * features());
    factor_ = ReadDoubles(in, "the factors", k * features() * features());
    for (const double m : mean_) {
      if (std::fabs(m) > RowUnit::kMaxValue) return in.Fail("a mean is out of range");
    }
    for (const double w : factor_) {
      if (std::fabs(w) > 1e110) return in.Fail("a factor is out of range");
    }
  }

  int64_t wanted_;
  bool diagonal_;
  double regularisation_;
  int64_t rounds_;
  double tolerance_;
  std::vector<double> log_weight_, mean_,
      factor_;  ///< weight with the normalisation; k x d; k x d x d (inverse Cholesky)
};

constexpr ParamSpec kParams[] = {
    {.name = "n_components",
     .type = ParamType::kInt,
     .default_value = "1",
     .min = 1,
     .max = 100,
     .summary = "Normal distributions in the mixture; 1 is a single cloud with its covariance."},
    {.name = "covariance_type",
     .type = ParamType::kChoice,
     .default_value = "full",
     .choices = "full|diag",
     .summary = "Whether columns may vary together within a component."},
    {.name = "reg_covar",
     .type = ParamType::kReal,
     .default_value = "1e-6",
     .min = 0,
     .max = 1e6,
     .summary = "Added to every variance, in squared units of the data, so that none is zero."},
    {.name = "max_iter",
     .type = ParamType::kInt,
     .default_value = "100",
     .min = 1,
     .max = 100000,
     .summary = "Most rounds of expectation maximisation."},
    {.name = "tol",
     .type = ParamType::kReal,
     .default_value = "0.001",
     .min = 0,
     .max = 1,
     .summary = "A smaller change of the mean log density ends the fit."},
};

}  // namespace

extern const Descriptor k_gmm;
const Descriptor k_gmm = {
    .name = "gmm",
    .family = "probabilistic",
    .summary =
        "How unlikely a row is under a mixture of normal distributions: finds values that are odd only together, "
        "around a few "
        "centres. Anomalies in the training rows widen the distributions that they are measured with.",
    .paper = "C. C. Aggarwal, Outlier analysis, chapter 2, Springer, 2015",
    .params = kParams,
    .deterministic = true,
    .fit_cost = "O(n k d^2), times the rounds, + O(k d^3)",
    .score_cost = "O(k d^2)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_components")), side = static_cast<double>(d);
      return PassCost(n, d, 6 + k * side * (k > 1 ? 20 : 1), 1 + k * side / 2, 8 * k * side * (side + 1))
          .PlusFit(1e-9 * k * side * side * side);
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> {
      return std::make_unique<GaussianMixture>(params);
    },
};

}  // namespace vedette::outlier
