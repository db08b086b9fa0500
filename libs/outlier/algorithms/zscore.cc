// z-score: how many standard deviations a row's values lie from the columns' means.
#include <algorithm>
#include <cmath>

#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kBlockRows = 1024;

constexpr ParamSpec kParams[] = {
    {.name = "aggregate",
     .type = ParamType::kChoice,
     .default_value = "max",
     .choices = "max|mean",
     .summary = "How a row's |z| become one score: max finds rows that are odd in any one column, mean rows that are "
                "somewhat odd in many."},
};

class ZScore final : public Detector {
 public:
  explicit ZScore(const ParamSet& params) : mean_(params.Choice("aggregate") == "mean") {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(columns_.FitMeanAndDeviation(X, ctx));
    training_scores_.resize(static_cast<size_t>(X.rows));
    return Score(X, training_scores_, ctx);
  }

  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      double* const out = scores.data() + begin;
      const auto count = static_cast<size_t>(end - begin);
      double z[kBlockRows];
      std::fill(out, out + count, 0.0);
      for (int64_t j = 0; j < X.cols; ++j) {
        columns_.Block(X, j, begin, {z, count});
        if (mean_) {
          for (size_t i = 0; i < count; ++i) out[i] += std::fabs(z[i]);
        } else {
          for (size_t i = 0; i < count; ++i) out[i] = std::fabs(z[i]) > out[i] ? std::fabs(z[i]) : out[i];
        }
      }
      const auto d = static_cast<double>(X.cols);
      for (size_t i = 0; mean_ && i < count; ++i) out[i] /= d;
    });
  }

  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = columns_.Centers(),
                  .space = mean_ ? "score" : "standard deviations"};
    const double weight = mean_ ? 1.0 / static_cast<double>(X.cols) : 1.0;
    RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      columns_.Sizes(X, begin, end - begin, weight, a.contributions.data() + begin, X.rows);
    }));
    return a;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    out.I64(columns_.size());
    columns_.Save(out);
  }

  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    columns_.Load(in, ReadInt(in, "the number of columns", 1, kMaxColumns));
    training_scores_.clear();
    return in.status();
  }

  int64_t features() const override { return columns_.size(); }

 private:
  bool mean_;
  Standardizer columns_;
  std::vector<double> training_scores_;
};

}  // namespace

extern const Descriptor k_zscore;
const Descriptor k_zscore = {
    .name = "zscore",
    .family = "probabilistic",
    .summary =
        "Distance from the mean in standard deviations, per column: the plainest baseline. Large outliers widen the "
        "deviation that they are measured with; `mad` does not have that fault.",
    .paper = "F. E. Grubbs, Procedures for detecting outlying observations in samples, Technometrics, 1969",
    .params = kParams,
    .deterministic = true,
    .fit_cost = "O(n d)",
    .score_cost = "O(d)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      return PassCost(n, d, 4, 2, 16.0 * static_cast<double>(d));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<ZScore>(params); },
};

}  // namespace vedette::outlier
