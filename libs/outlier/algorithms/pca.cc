// PCA as Shyu et al.: distances to the principal component vectors, each divided by its share of the variance.
#include <absl/container/fixed_array.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/eigen.h"
#include "outlier/kernels/row_parts.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"
#include "outlier/projection.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kTile = Standardizer::kTile;
constexpr int64_t kBlockRows = 32 * kTile;
constexpr int64_t kMaxDimension = 20000;  // of the eigenproblem, min(rows, columns)
/// A component with a smaller share of the variance exists by rounding only. PyOD divides by whatever share comes out
/// (2.9e-31 on `cardio`); here such a component weighs as one of this share, and its direction, which is noise, is not
/// used.
constexpr double kLeastShare = 1e-12;

constexpr ParamSpec kParams[] = {
    {.name = "n_selected_components",
     .type = ParamType::kInt,
     .default_value = "0",
     .min = 0,
     .max = kMaxDimension,
     .choices = "all=0",
     .summary = "How many components with the least variance are used; 0 or 'all' uses every one."},
    {.name = "weighted",
     .type = ParamType::kBool,
     .default_value = "true",
     .summary = "Divide each distance by the component's share of the variance, so that minor components count most."},
    {.name = "standardization",
     .type = ParamType::kBool,
     .default_value = "true",
     .summary = "Bring every column to mean 0 and deviation 1 first; without it the largest units decide."},
};

/// Meaning as PyOD 3.6.5 over scikit-learn 1.2.1: score = sum over components of |z - v| / share, v a unit vector whose
/// sign makes the largest |projection| of a training row positive (svd_flip).
class Pca final : public Detector {
 public:
  explicit Pca(const ParamSet& params)
      : n_selected_(params.Int("n_selected_components")),
        weighted_(params.Bool("weighted")),
        standardize_(params.Bool("standardization")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    const int64_t components = std::min(X.rows, X.cols);
    if (components > kMaxDimension) {
      return InvalidArgument("pca: the smaller of {} rows and {} columns is more than {}", X.rows, X.cols,
                             kMaxDimension);
    }
    if (n_selected_ > components) {
      return InvalidArgument("n_selected_components is {}, but {} rows of {} columns have only {} components",
                             n_selected_, X.rows, X.cols, components);
    }
    d_ = X.cols;
    if (standardize_) {
      RETURN_IF_ERROR(columns_.FitMeanAndDeviation(X, ctx));
    } else {
      columns_ = {};
      for (int64_t j = 0; j < d_; ++j) columns_.Add(1, 0, 1);
    }
    RETURN_IF_ERROR(FindComponents(X, ctx));
    Derive();
    training_scores_.resize(static_cast<size_t>(X.rows));
    return Score(X, training_scores_, ctx);
  }

  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    const int64_t k = components();
    return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      std::vector<double> z(static_cast<size_t>(d_ * kTile)), p(static_cast<size_t>(k * kTile));
      for (int64_t row = begin; row < end; row += kTile) {
        columns_.Tile(X, row, z.data());
        ProjectTile(z.data(), d_, vectors_.data(), k, p.data());
        constexpr int kVectors = kTile / 4;
        F64x4 norm[kVectors], total[kVectors];
        for (int v = 0; v < kVectors; ++v) norm[v] = total[v] = F64x4::Zero();
        for (const double* at = z.data(); at < z.data() + d_ * kTile; at += kTile) {
          for (int v = 0; v < kVectors; ++v)
            norm[v] = Fma(F64x4::LoadAny(at + 4 * v), F64x4::LoadAny(at + 4 * v), norm[v]);
        }
        const F64x4 one = F64x4::Set(1), two = F64x4::Set(-2);
        for (int64_t c = 0; c < k; ++c) {
          const F64x4 weight = F64x4::Set(weights_[static_cast<size_t>(c)]);
          const double* const pc = p.data() + c * kTile;
          for (int v = 0; v < kVectors; ++v) {  // |z - v|^2 with |v| = 1
            const F64x4 square = Fma(two, F64x4::LoadAny(pc + 4 * v), norm[v]) + one;
            total[v] = Fma(Sqrt(Max(square, F64x4::Zero())), weight, total[v]);
          }
        }
        double sum[kTile];
        for (int v = 0; v < kVectors; ++v) total[v].Store(sum + 4 * v);
        std::copy(sum, sum + std::min(kTile, end - row), scores.data() + row);
      }
    });
  }

  /// |z - v| = sum over features of (z_f - v_f)^2 / |z - v|: parts that add up to the score.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = Matrix::ForOverwrite(1, X.cols),
                  .space = "score"};
    std::copy(usual_.begin(), usual_.end(), a.expected.data());
    const Directions directions{.vectors = vectors_.data(),
                                .squares = squares_.data(),
                                .weights = weights_.data(),
                                .count = components(),
                                .d = d_};
    RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      constexpr int64_t kNarrow = 4, kMostTiles = 8;
      const int64_t tiles = (end - begin) / kTile, together = std::clamp<int64_t>(tiles, 1, kMostTiles);
      const int64_t rest = end - begin - tiles * kTile, lanes = rest > 0 && rest <= kNarrow ? kNarrow : kTile;
      absl::FixedArray<double, 1024> work(static_cast<size_t>(
          tiles == 0 ? (2 * d_ + components()) * lanes : (std::max<int64_t>(together, 2) * d_ + components()) * kTile));
      double* const factors = work.data();
      double* const z = factors + components() * (tiles == 0 ? lanes : kTile);
      for (int64_t t = 0; t < tiles; t += together) {
        const int64_t count = std::min(together, tiles - t);
        columns_.Tiles(X, begin + t * kTile, count, z);
        for (int64_t k = 0; k < count; ++k) {
          DirectionParts(directions, z + k * d_ * kTile, kTile, factors,
                         a.contributions.data() + begin + (t + k) * kTile, X.rows);
        }
      }
      if (rest == 0) return;
      double* const parts = z + d_ * lanes;
      for (int64_t j = 0; j < d_; ++j) {
        for (int64_t r = 0; r < lanes; ++r) z[j * lanes + r] = columns_.Z(j, X(end - rest + std::min(r, rest - 1), j));
      }
      DirectionParts(directions, z, static_cast<int>(lanes), factors, parts, lanes);
      for (int64_t j = 0; j < d_; ++j) {
        for (int64_t r = 0; r < rest; ++r) a.contributions(end - rest + r, j) = parts[j * lanes + r];
      }
    }));
    return a;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    out.I64(d_);
    out.I64(components());
    columns_.Save(out);
    out.Doubles(mean_);
    out.Doubles(weights_);
    out.Doubles(vectors_);
  }

  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    d_ = ReadInt(in, "the number of columns", 1, kMaxColumns);
    const int64_t k = ReadInt(in, "the number of components", 1, kMaxDimension);
    columns_.Load(in, d_);
    mean_ = ReadDoubles(in, "the means", d_);
    weights_ = ReadDoubles(in, "the weights of components", k);
    vectors_ = ReadDoubles(in, "the components", k * d_);
    training_scores_.clear();
    if (in.ok() &&
        !(std::all_of(weights_.begin(), weights_.end(), [](double w) { return w > 0 && w <= 2 / kLeastShare; }) &&
          std::all_of(vectors_.begin(), vectors_.end(), [](double v) { return std::fabs(v) <= 1.001; }) &&
          std::all_of(mean_.begin(), mean_.end(), [](double m) { return std::fabs(m) <= Standardizer::kMaxZ; }))) {
      in.Fail("a component is out of range");
    }
    if (in.ok()) Derive();
    return in.status();
  }

  int64_t features() const override { return d_; }

 private:
  int64_t components() const { return static_cast<int64_t>(weights_.size()); }

  void Derive() {
    usual_.clear();
    for (int64_t j = 0; j < d_; ++j) usual_.push_back(columns_.Unscaled(j, mean_[static_cast<size_t>(j)]));
    squares_.assign(vectors_.size(), 0);
    for (int64_t c = 0; c < components(); ++c) {
      const double* const v = vectors_.data() + c * d_;
      const bool directed = std::any_of(v, v + d_, [](double part) { return part != 0; });
      for (int64_t j = 0; j < d_; ++j) {
        squares_[static_cast<size_t>(c * d_ + j)] = directed ? v[j] * v[j] : 1 / static_cast<double>(d_);
      }
    }
  }

  /// f(begin, z): z is the matrix (kTile x d, one row of `z` per feature) of every tile of rows.
  template <typename F>
  void Tiles(MatrixView X, int64_t begin, int64_t end, const F& f) const {
    std::vector<double> z(static_cast<size_t>(d_ * kTile));
    for (int64_t row = begin; row < end; row += kTile) {
      columns_.Tile(X, row, z.data());
      f(row, std::min(kTile, end - row), z.data());
    }
  }

  /// Standardised and centred rows begin..end, as rows x d.
  MatrixXd Centered(MatrixView X, int64_t begin, int64_t end) const {
    MatrixXd out(end - begin, d_);
    for (int64_t j = 0; j < d_; ++j) {
      columns_.Block(X, j, begin, {out.data() + j * out.rows(), static_cast<size_t>(out.rows())});
      if (const double mean = mean_[static_cast<size_t>(j)]; mean != 0) out.col(j).array() -= mean;
    }
    return out;
  }

  absl::Status FindMean(MatrixView X, const Context& ctx) {
    mean_.assign(static_cast<size_t>(d_), 0);
    if (standardize_) return absl::OkStatus();
    return ParallelBlocks(ctx, d_, 1, [&](int64_t j, int64_t) {
      double sum = 0;
      for (int64_t i = 0; i < X.rows; ++i) sum += columns_.Z(j, X(i, j)) / static_cast<double>(X.rows);
      mean_[static_cast<size_t>(j)] = sum;
    });
  }

  /// Z'Z / n of the centred rows, from partial sums whose number depends on the shape alone.
  absl::StatusOr<MatrixXd> Covariance(MatrixView X, const Context& ctx) const {
    const int64_t parts = std::clamp<int64_t>((int64_t{1} << 24) / (d_ * d_), 1, 64);
    const int64_t grain = std::max<int64_t>((X.rows + parts - 1) / parts, 1024);
    std::vector<MatrixXd> sums(static_cast<size_t>((X.rows + grain - 1) / grain));
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, grain, [&](int64_t begin, int64_t end) {
      MatrixXd& sum = sums[static_cast<size_t>(begin / grain)];
      sum = MatrixXd::Zero(d_, d_);
      for (int64_t row = begin; row < end && ctx.Check().ok(); row += 512) {
        sum.selfadjointView<Eigen::Lower>().rankUpdate(Centered(X, row, std::min(end, row + 512)).transpose());
      }
    }));
    RETURN_IF_ERROR(ctx.Check());
    for (size_t i = 1; i < sums.size(); ++i) sums[0] += sums[i];
    return MatrixXd(sums[0] / static_cast<double>(X.rows));
  }

  absl::Status FindComponents(MatrixView X, const Context& ctx) {
    RETURN_IF_ERROR(FindMean(X, ctx));
    const int64_t k = std::min(X.rows, d_);
    VectorXd variance;
    MatrixXd directions;  // d x k, by falling variance
    if (d_ <= X.rows) {
      ASSIGN_OR_RETURN(const MatrixXd covariance, Covariance(X, ctx));
      ASSIGN_OR_RETURN(const SymmetricEigen eigen,
                       EigenOf({covariance.data(), static_cast<size_t>(d_ * d_)}, static_cast<size_t>(d_), ctx));
      variance = Eigen::Map<const VectorXd>(eigen.values.data(), d_).reverse();
      directions = Eigen::Map<const MatrixXd>(eigen.vectors.data(), d_, d_).rowwise().reverse();
    } else {  // fewer rows than columns: the same from the n x n matrix of dot products
      const MatrixXd centered = Centered(X, 0, X.rows).transpose();
      MatrixXd products = MatrixXd::Zero(k, k);
      for (int64_t row = 0; row < d_; row += 64) {
        RETURN_IF_ERROR(ctx.Check());
        products.selfadjointView<Eigen::Lower>().rankUpdate(
            centered.middleRows(row, std::min<int64_t>(64, d_ - row)).transpose());
      }
      products /= static_cast<double>(X.rows);
      ASSIGN_OR_RETURN(const SymmetricEigen eigen,
                       EigenOf({products.data(), static_cast<size_t>(k * k)}, static_cast<size_t>(k), ctx));
      variance = Eigen::Map<const VectorXd>(eigen.values.data(), k).reverse();
      directions = centered * Eigen::Map<const MatrixXd>(eigen.vectors.data(), k, k).rowwise().reverse();
      for (int64_t c = 0; c < k; ++c) directions.col(c).normalize();
    }
    RETURN_IF_ERROR(ctx.Check());
    const double total = variance.cwiseMax(0).sum();
    const int64_t selected = n_selected_ == 0 ? k : n_selected_;
    vectors_.resize(static_cast<size_t>(selected * d_));
    std::copy_n(directions.data() + (k - selected) * d_, selected * d_, vectors_.data());
    ASSIGN_OR_RETURN(const std::vector<double> refined, FixSigns(X, selected, ctx));
    weights_.clear();
    for (int64_t c = 0; c < selected; ++c) {
      const double share = total > 0 ? refined[static_cast<size_t>(c)] / total : 0;
      weights_.push_back(weighted_ && total > 0 ? 1 / std::max(share, kLeastShare) : 1);
      if (share <= kLeastShare) std::fill_n(vectors_.begin() + c * d_, d_, 0.0);
    }
    return absl::OkStatus();
  }

  /// The signs as scikit-learn's svd_flip: the training row with the largest |projection| (the first such) projects
  /// positively. Returns the components' variances as means of squared projections: small eigenvalues of a covariance
  /// matrix carry its rounding relative to the largest one, these do not.
  absl::StatusOr<std::vector<double>> FixSigns(MatrixView X, int64_t k, const Context& ctx) {
    std::vector<double> offset(static_cast<size_t>(k), 0);  // projections of the mean
    for (int64_t c = 0; c < k; ++c) {
      double& sum = offset[static_cast<size_t>(c)];
      for (int64_t j = 0; j < d_; ++j) sum += mean_[static_cast<size_t>(j)] * vectors_[static_cast<size_t>(c * d_ + j)];
    }
    struct Part {
      std::vector<double> extreme, squares;
    };
    const int64_t grain = std::max<int64_t>(kBlockRows, (X.rows / 64 / kTile + 1) * kTile);
    std::vector<Part> parts(static_cast<size_t>((X.rows + grain - 1) / grain));
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, grain, [&](int64_t begin, int64_t end) {
      Part& part = parts[static_cast<size_t>(begin / grain)];
      part.extreme.assign(static_cast<size_t>(k), 0);
      part.squares.assign(static_cast<size_t>(k), 0);
      std::vector<double> p(static_cast<size_t>(k * kTile));
      Tiles(X, begin, end, [&](int64_t, int64_t count, const double* z) {
        ProjectTile(z, d_, vectors_.data(), k, p.data());
        for (size_t c = 0; c < static_cast<size_t>(k); ++c) {
          double most = part.extreme[c], squares = 0;
          for (size_t r = 0; r < static_cast<size_t>(count); ++r) {
            const double value = p[c * kTile + r] - offset[c];
            most = std::fabs(value) > std::fabs(most) ? value : most;
            squares += value * value;
          }
          part.extreme[c] = most;
          part.squares[c] += squares;
        }
      });
    }));
    std::vector<double> variance(static_cast<size_t>(k), 0);
    for (size_t c = 0; c < variance.size(); ++c) {
      double most = 0;
      for (const Part& part : parts) {
        if (std::fabs(part.extreme[c]) > std::fabs(most)) most = part.extreme[c];
        variance[c] += part.squares[c] / static_cast<double>(X.rows);
      }
      const auto begin = vectors_.begin() + static_cast<std::ptrdiff_t>(c) * d_;
      if (most < 0) std::transform(begin, begin + d_, begin, [](double v) { return -v; });
    }
    return variance;
  }

  int64_t n_selected_;
  bool weighted_, standardize_;
  int64_t d_ = 0;
  Standardizer columns_;
  std::vector<double> mean_;     ///< of the standardised columns (near 0, unless standardisation is off)
  std::vector<double> weights_;  ///< 1 / share of the variance
  std::vector<double> vectors_;  ///< components x d; all zero for a component that exists by rounding only
  std::vector<double> usual_;    ///< derived: the means, in the data's own units
  std::vector<double> squares_;  ///< derived: of the components' parts; all 1 / d without a direction
  std::vector<double> training_scores_;
};

}  // namespace

extern const Descriptor k_pca;
const Descriptor k_pca = {
    .name = "pca",
    .family = "linear",
    .summary =
        "How far a row lies from the main directions of variation: finds broken linear relations between columns. "
        "Fails "
        "where relations are curved or the data has several clusters.",
    .paper =
        "M.-L. Shyu et al., A novel anomaly detection scheme based on principal component classifier, ICDM workshops, "
        "2003",
    .params = kParams,
    .deterministic = true,
    .fit_cost = "O(n d^2 + d^3)",
    .score_cost = "O(d^2)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      const double side = static_cast<double>(d);
      return PassCost(n, d, 4 + side, 1 + side / 4, 24 * side * side).PlusFit(1e-8 * side * side * side);
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Pca>(params); },
};

}  // namespace vedette::outlier
