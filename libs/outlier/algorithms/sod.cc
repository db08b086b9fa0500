// Subspace outlier degree (Kriegel, Kroeger, Schubert, Zimek 2009): the rows that share most nearest neighbours with a
// row are its reference set; in the columns where that set varies little, the root mean squared distance from its mean
// is the score.
//
// Equal shares go to the nearer row, then to the lower one (PyOD leaves that to its sort). A new row's reference set is
// drawn from the training rows.
#include <algorithm>
#include <cmath>

#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class Sod final : public Detector {
 public:
  explicit Sod(const ParamSet& params)
      : k_(params.Int("n_neighbors")), reference_(params.Int("ref_set")), alpha_(params.Real("alpha")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(index_.Build(X, {}, ctx));
    const auto n = static_cast<size_t>(X.rows);
    near_ = static_cast<size_t>(std::min(k_, X.rows - 1));
    neighbors_.assign(n * near_, 0);
    RETURN_IF_ERROR(index_.OfTrainingRows(k_, ctx, [&](int64_t row, auto, std::span<const int32_t> rows) {
      std::copy(rows.begin(), rows.end(), neighbors_.begin() + row * static_cast<int64_t>(near_));
    }));
    RETURN_IF_ERROR(Take(X, ctx));
    training_scores_.assign(n, 0);
    return ParallelBlocks(ctx, X.rows, 64, [&](int64_t begin, int64_t end) {
      Shares shares(rows_count_);
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        training_scores_[i] = Degree(rows_.data() + i * d_, {neighbors_.data() + i * near_, near_},
                                     static_cast<int64_t>(i), shares, nullptr, nullptr);
      }
    });
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return Visit(X, ctx, [&](int64_t row, const double* x, std::span<const int32_t> near, Shares& shares) {
      scores[static_cast<size_t>(row)] = Degree(x, near, -1, shares, nullptr, nullptr);
    });
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution a{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "squared distance in the subspace"};
    a.scores.resize(static_cast<size_t>(X.rows));
    RETURN_IF_ERROR(Visit(X, ctx, [&](int64_t row, const double* x, std::span<const int32_t> near, Shares& shares) {
      std::vector<double> parts(d_), mean(d_);
      a.scores[static_cast<size_t>(row)] = Degree(x, near, -1, shares, parts.data(), mean.data());
      for (size_t j = 0; j < d_; ++j) {
        a.contributions(row, static_cast<int64_t>(j)) =
            std::min(std::pow(std::min(std::sqrt(parts[j]) / unit_.unit(), 1e150), 2), 1e300);
        a.expected(row, static_cast<int64_t>(j)) = unit_.Unscaled(mean[j]);
      }
    }));
    return a;
  }

  void Save(ByteWriter& out) const override {
    index_.Save(out);
    out.I32s(neighbors_);
  }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    RETURN_IF_ERROR(index_.Load(in, {}));
    neighbors_ = in.I32s();
    RETURN_IF_ERROR(in.status());
    near_ = static_cast<size_t>(std::min(k_, index_.rows() - 1));
    if (neighbors_.size() != near_ * static_cast<size_t>(index_.rows())) in.Fail("the number of neighbours is wrong");
    for (const int32_t row : neighbors_) {
      if (row < 0 || row >= index_.rows()) in.Fail("a neighbour is no row");
    }
    RETURN_IF_ERROR(in.status());
    Matrix X(index_.rows(), index_.features());
    for (int64_t j = 0; j < X.cols(); ++j) {
      for (int64_t i = 0; i < X.rows(); ++i) X(i, j) = index_.Value(i, j);
    }
    return Take(X, {});
  }
  int64_t features() const override { return index_.features(); }

 private:
  /// How many neighbours each row shares with one row; cleared after use.
  struct Shares {
    explicit Shares(size_t rows) : count(rows, 0) {}
    std::vector<int32_t> count, touched;
    std::vector<size_t> of_count;  // how many of the touched share so many
    std::vector<double> distance;  // of the touched
  };

  /// The rows, and for each row the rows that have it as a neighbour.
  absl::Status Take(MatrixView X, const Context& ctx) {
    RETURN_IF_ERROR(unit_.Fit(X, ctx));
    ASSIGN_OR_RETURN(rows_, unit_.ReadAll(X, ctx));
    d_ = static_cast<size_t>(X.cols);
    rows_count_ = static_cast<size_t>(X.rows);
    begin_.assign(rows_count_ + 1, 0);
    const auto cells = static_cast<int64_t>(neighbors_.size());
    RETURN_IF_ERROR(Blocks(ctx, cells, RowsPerLook(4), [&](int64_t begin, int64_t end) {
      for (auto p = static_cast<size_t>(begin); p < static_cast<size_t>(end); ++p)
        ++begin_[static_cast<size_t>(neighbors_[p]) + 1];
    }));
    for (size_t i = 0; i < rows_count_; ++i) begin_[i + 1] += begin_[i];
    owners_.assign(neighbors_.size(), 0);
    std::vector<int64_t> at(begin_.begin(), begin_.end() - 1);
    return Blocks(ctx, cells, RowsPerLook(8), [&](int64_t begin, int64_t end) {
      for (auto p = static_cast<size_t>(begin); p < static_cast<size_t>(end); ++p) {
        owners_[static_cast<size_t>(at[static_cast<size_t>(neighbors_[p])]++)] = static_cast<int32_t>(p / near_);
      }
    });
  }

  template <typename F>
  absl::Status Visit(MatrixView X, const Context& ctx, const F& f) const {
    RETURN_IF_ERROR(ctx.Check());
    std::vector<int32_t> near(static_cast<size_t>(X.rows * std::min(k_, index_.rows())));
    const auto width = static_cast<size_t>(std::min(k_, index_.rows()));
    RETURN_IF_ERROR(index_.Of(X, k_, ctx, [&](int64_t row, auto, std::span<const int32_t> rows) {
      std::copy(rows.begin(), rows.end(), near.begin() + row * static_cast<int64_t>(width));
    }));
    return ParallelBlocks(ctx, X.rows, 64, [&](int64_t begin, int64_t end) {
      Shares shares(rows_count_);
      std::vector<double> x(d_);
      for (int64_t i = begin; i < end; ++i) {
        unit_.Read(X, i, x.data());
        f(i, x.data(), {near.data() + static_cast<size_t>(i) * width, width}, shares);
      }
    });
  }

  double Degree(const double* x, std::span<const int32_t> near, int64_t self, Shares& shares, double* parts,
                double* mean_out) const {
    shares.touched.clear();
    for (const int32_t m : near) {
      for (int64_t p = begin_[static_cast<size_t>(m)]; p < begin_[static_cast<size_t>(m) + 1]; ++p) {
        const int32_t owner = owners_[static_cast<size_t>(p)];
        if (owner == self) continue;
        if (shares.count[static_cast<size_t>(owner)]++ == 0) shares.touched.push_back(owner);
      }
    }
    // Rows that share nothing follow.
    const size_t wanted = std::min(static_cast<size_t>(reference_), rows_count_ - (self >= 0 ? 1 : 0));
    if (shares.touched.size() < wanted) {
      for (size_t row = 0; row < rows_count_; ++row) {
        if (static_cast<int64_t>(row) != self && shares.count[row] == 0)
          shares.touched.push_back(static_cast<int32_t>(row));
      }
    }
    const std::span<const int32_t> reference = NearestOfMostShared(x, wanted, near.size(), shares);
    const double degree = OfReference(x, reference, parts, mean_out);
    for (const int32_t row : shares.touched) shares.count[static_cast<size_t>(row)] = 0;
    return degree;
  }

  /// The rows of shares.touched that share most, the nearer one and then the lower one of equal shares: the first
  /// `wanted` of shares.touched, in order. Distances are found of those alone whose shares are equal to the last one's,
  /// and of the chosen.
  std::span<const int32_t> NearestOfMostShared(const double* x, size_t wanted, size_t most, Shares& shares) const {
    auto& touched = shares.touched;
    const auto count = [&](int32_t row) { return shares.count[static_cast<size_t>(row)]; };
    shares.of_count.assign(most + 1, 0);
    for (const int32_t row : touched) ++shares.of_count[static_cast<size_t>(count(row))];
    size_t last = most, above = 0;  // rows that share more than `last`
    while (last > 0 && above + shares.of_count[last] < wanted) above += shares.of_count[last--];
    const auto least = static_cast<int32_t>(last);
    const auto sure = std::partition(touched.begin(), touched.end(), [&](int32_t row) { return count(row) > least; });
    const auto equal = std::partition(sure, touched.end(), [&](int32_t row) { return count(row) == least; });
    shares.distance.resize(rows_count_);
    for (auto row = touched.begin(); row != equal; ++row) {
      shares.distance[static_cast<size_t>(*row)] =
          SquaredDistance(x, rows_.data() + static_cast<size_t>(*row) * d_, d_);
    }
    const auto more = [&](int32_t a, int32_t b) {
      const double i = shares.distance[static_cast<size_t>(a)], j = shares.distance[static_cast<size_t>(b)];
      if (count(a) != count(b)) return count(a) > count(b);
      return i != j ? i < j : a < b;
    };
    std::partial_sort(touched.begin(), touched.begin() + static_cast<int64_t>(wanted), equal, more);
    return {touched.data(), wanted};
  }

  double OfReference(const double* x, std::span<const int32_t> reference, double* parts, double* mean_out) const {
    const auto r = static_cast<double>(reference.size());
    std::vector<double> mean(d_, 0), variance(d_, 0);
    for (const int32_t row : reference) {
      for (size_t j = 0; j < d_; ++j) mean[j] += rows_[static_cast<size_t>(row) * d_ + j];
    }
    for (size_t j = 0; j < d_; ++j) mean[j] /= std::max(r, 1.0);
    double total = 0;
    for (const int32_t row : reference) {
      for (size_t j = 0; j < d_; ++j) variance[j] += std::pow(rows_[static_cast<size_t>(row) * d_ + j] - mean[j], 2);
    }
    for (double& v : variance) total += v /= std::max(r, 1.0);
    const double limit = alpha_ * total / static_cast<double>(d_);
    double sum = 0, relevant = 0;
    for (size_t j = 0; j < d_; ++j) {
      // A set that does not vary at all: every column is one where it varies little.
      const bool counts = variance[j] < limit || total == 0;
      const double gap = reference.empty() ? 0 : x[j] - mean[j];
      if (parts != nullptr) parts[j] = counts ? gap * gap : 0;
      // Fused in so many words: what the compiler makes of it would hang on whether the parts are asked for.
      if (counts) sum = std::fma(gap, gap, sum), relevant += 1;
    }
    if (mean_out != nullptr) std::copy(mean.begin(), mean.end(), mean_out);
    return relevant > 0 ? unit_.Unscaled(std::sqrt(sum / relevant)) : 0;
  }

  int64_t k_, reference_;
  double alpha_;
  NeighborIndex index_;
  RowUnit unit_;
  size_t d_ = 0, near_ = 0, rows_count_ = 0;
  std::vector<int32_t> neighbors_, owners_;  ///< of each row; rows that have a row as neighbour
  std::vector<int64_t> begin_;
  std::vector<double> rows_, training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_neighbors",
     .type = ParamType::kInt,
     .default_value = "20",
     .min = 1,
     .max = 1000,
     .summary = "Neighbours of each row, of which two rows share some."},
    {.name = "ref_set",
     .type = ParamType::kInt,
     .default_value = "10",
     .min = 1,
     .max = 1000,
     .summary = "Rows of the reference set: those that share most neighbours with a row."},
    {.name = "alpha",
     .type = ParamType::kReal,
     .default_value = "0.8",
     .min = 0,
     .max = 1,
     .summary = "A column counts where the reference set's variance is below this share of its mean variance."},
};

}  // namespace

extern const Descriptor k_sod;
const Descriptor k_sod = {
    .name = "sod",
    .family = "proximity",
    .summary =
        "Distance from the rows that share most neighbours, in the columns where those agree: anomalies that show in a "
        "few of "
        "many columns. Needs comparable scales.",
    .paper =
        "H.-P. Kriegel, P. Kroeger, E. Schubert, A. Zimek, Outlier detection in axis-parallel subspaces of high "
        "dimensional data, PAKDD, 2009",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many, + O(n k^2)",
    .score_cost = "O(log n d) for few features, O(n d) for many, + O(k^2)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_neighbors"));
      return NeighborCost(n, d, p.Int("n_neighbors"),
                          1e-6 + 1e-8 * k * k + 2e-9 * static_cast<double>(p.Int("ref_set") * d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Sod>(params); },
};

}  // namespace vedette::outlier
