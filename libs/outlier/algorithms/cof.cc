// Connectivity-based outlier factor (Tang et al. 2002): how dear it is to chain a row to its k neighbours, nearest first, each
// joined to the nearest that is chained already, against the same for its neighbours. Links near the row weigh most:
// ac(x) = sum over i of 2 (k + 1 - i) / (k (k + 1)) cost_i, and the factor is ac(x) / mean of ac(neighbours).
//
// A new row is chained to its nearest training rows and compared with what they had in training; training rows leave
// themselves out. Where all costs are 0 (equal rows), the factor is 0 for a row at the same place, and bounded for others.
#include <algorithm>
#include <cmath>

#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kMostFactor = 1e100;

class Cof final : public Detector {
 public:
  explicit Cof(const ParamSet& params) : k_(params.Int("n_neighbors")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(index_.Build(X, {}, ctx));
    RETURN_IF_ERROR(Take(X, ctx));
    const auto n = static_cast<size_t>(X.rows), k = static_cast<size_t>(std::min(k_, X.rows - 1));
    chain_.assign(n, 0);
    std::vector<int32_t> neighbors(n * k);
    RETURN_IF_ERROR(index_.OfTrainingRows(k_, ctx, [&](int64_t row, auto, std::span<const int32_t> rows) {
      const auto i = static_cast<size_t>(row);
      std::copy(rows.begin(), rows.end(), neighbors.begin() + static_cast<int64_t>(i * k));
      chain_[i] = Chain(rows_.data() + i * d_, rows);
    }));
    training_scores_.assign(n, 1);
    return ParallelBlocks(ctx, X.rows, RowsPerLook(4 * k_), [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        training_scores_[i] = Factor(chain_[i], {neighbors.data() + i * k, k});
    });
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    return index_.Of(X, k_, ctx, [&](int64_t row, auto, std::span<const int32_t> rows) {
      std::vector<double> x(d_);
      unit_.Read(X, row, x.data());
      scores[static_cast<size_t>(row)] = Factor(Chain(x.data(), rows), rows);
    });
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override { return NeighborGaps(index_, {}, k_, X, ctx); }

  void Save(ByteWriter& out) const override {
    index_.Save(out);
    out.Doubles(chain_);
  }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    RETURN_IF_ERROR(index_.Load(in, {}));
    chain_ = ReadDoubles(in, "the chains' costs", index_.rows());
    for (const double c : chain_) {
      if (!(c >= 0)) in.Fail("a chain's cost is negative");
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
  absl::Status Take(MatrixView X, const Context& ctx) {
    d_ = static_cast<size_t>(X.cols);
    RETURN_IF_ERROR(unit_.Fit(X, ctx));
    ASSIGN_OR_RETURN(rows_, unit_.ReadAll(X, ctx));
    return absl::OkStatus();
  }
  /// The average chaining distance of x over its neighbours, nearest first.
  double Chain(const double* x, std::span<const int32_t> rows) const {
    const size_t k = rows.size();
    std::vector<double> nearest(k);  // squared, of each neighbour to what is chained
    for (size_t a = 0; a < k; ++a) nearest[a] = SquaredDistance(x, Row(rows[a]), d_);
    double sum = 0;
    for (size_t a = 0; a < k; ++a) {
      sum += 2.0 * static_cast<double>(k - a) / (static_cast<double>(k + 1) * static_cast<double>(k)) * std::sqrt(nearest[a]);
      for (size_t b = a + 1; b < k; ++b) nearest[b] = std::min(nearest[b], SquaredDistance(Row(rows[a]), Row(rows[b]), d_));
    }
    return sum;
  }
  double Factor(double chain, std::span<const int32_t> rows) const {
    if (rows.empty()) return 1;
    double sum = 0;
    for (const int32_t row : rows) sum += chain_[static_cast<size_t>(row)];
    if (!(sum > 0)) return chain > 0 ? kMostFactor : 0;
    return std::min(chain * static_cast<double>(rows.size()) / sum, kMostFactor);
  }
  const double* Row(int32_t row) const { return rows_.data() + static_cast<size_t>(row) * d_; }

  int64_t k_;
  NeighborIndex index_;
  RowUnit unit_;
  std::vector<double> rows_, chain_, training_scores_;
  size_t d_ = 0;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_neighbors",
     .type = ParamType::kInt,
     .default_value = "20",
     .min = 1,
     .max = 1000,
     .summary = "Number of neighbours that are chained; the cost grows with the square."},
};

}  // namespace

extern const Descriptor k_cof;
const Descriptor k_cof = {
    .name = "cof",
    .family = "proximity",
    .summary = "How hard a row is to chain to its neighbours, against its neighbours' own chains: finds rows beside lines and other "
               "thin shapes, where density says nothing. Needs comparable scales.",
    .paper = "J. Tang et al., Enhancing effectiveness of outlier detections for low density patterns, PAKDD, 2002",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n log n d) for few features, O(n^2 d) for many, + O(n k^2 d)",
    .score_cost = "O(log n d) for few features, O(n d) for many, + O(k^2 d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_neighbors"));
      return NeighborCost(n, d, p.Int("n_neighbors"), 2e-7 + 1.5e-10 * k * k * static_cast<double>(d + 4));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Cof>(params); },
};

}  // namespace vedette::outlier
