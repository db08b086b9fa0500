// MAD: the modified z-score, from the median and the median absolute deviation.
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
constexpr int64_t kBlockRows = 4096;

class Mad final : public Detector {
 public:
  absl::Status Fit(MatrixView X, const Context& ctx) override {
    struct Column {
      double unit, center, inverse;
    };
    std::vector<Column> fitted(static_cast<size_t>(X.cols));
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.cols, 1, [&](int64_t j, int64_t) {
      const std::span<const double> column = X.col(j);
      const double unit = UnitFor(column);
      std::vector<double> work(column.begin(), column.end());
      const double median = MedianInPlace(work) * unit;
      for (double& x : work) x = std::fabs(x * unit - median);
      const double mad = MedianInPlace(work);
      double inverse = 0.6745 / mad;
      if (!(mad > 0) || !std::isfinite(inverse)) {
        // More than half of the values are equal. Iglewicz and Hoaglin (1993): the mean absolute deviation instead,
        // with the constant that makes it estimate a normal standard deviation, sqrt(pi / 2).
        double sum = 0;
        std::sort(work.begin(), work.end());  // a sum that does not depend on the order of rows
        for (const double x : work) sum += x;
        inverse = static_cast<double>(work.size()) / (1.2533141373155002 * sum);
        if (!std::isfinite(inverse)) inverse = 1;  // a constant column: deviations in its own unit
      }
      fitted[static_cast<size_t>(j)] = {unit, median, inverse};
    }));
    columns_ = {};
    for (const Column& c : fitted) columns_.Add(c.unit, c.center, c.inverse);
    training_scores_.resize(static_cast<size_t>(X.rows));
    return Score(X, training_scores_, ctx);
  }

  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      double* const out = scores.data();
      std::fill(out + begin, out + end, 0.0);
      for (int64_t j = 0; j < X.cols; ++j) {
        const double* const x = X.col(j).data();
        for (int64_t i = begin; i < end; ++i) out[i] = std::max(out[i], std::fabs(columns_.Z(j, x[i])));
      }
    });
  }

  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = columns_.Centers(),
                  .space = "robust standard deviations"};
    RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      columns_.Sizes(X, begin, end - begin, 1, a.contributions.data() + begin, X.rows);
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
  Standardizer columns_;
  std::vector<double> training_scores_;
};

}  // namespace

extern const Descriptor k_mad;
const Descriptor k_mad = {
    .name = "mad",
    .family = "probabilistic",
    .summary = "Distance from the median in robust standard deviations, 0.6745 |x - median| / MAD, the largest over the "
               "columns: up to half of the data may be bad. Flags the long tail of skewed columns.",
    .paper = "B. Iglewicz, D. C. Hoaglin, How to detect and handle outliers, ASQC Quality Press, 1993",
    .params = {},
    .deterministic = true,
    .fit_cost = "O(n d)",
    .score_cost = "O(d)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      return PassCost(n, d, 20, 2, 16.0 * static_cast<double>(d));
    },
    .make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<Mad>(); },
};

}  // namespace vedette::outlier
