// Tukey's fences: how many interquartile ranges a value lies beyond the quartiles of its column, the largest over the
// columns (below 0: inside the box of every column; 1.5 is Tukey's fence).
#include <algorithm>
#include <cmath>

#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

class Iqr final : public RowDetector {
 private:
  absl::Status LearnFrom(MatrixView X, const Context& ctx) override {
    first_.assign(d(), 0);
    third_ = median_ = spread_ = first_;
    return ParallelBlocks(ctx, features(), 1, [&](int64_t column, int64_t) {
      const auto j = static_cast<size_t>(column);
      // numpy's default: linear between order statistics.
      const auto quantile = [&](double q) {
        const double at = q * static_cast<double>(X.rows - 1);
        const auto below = static_cast<size_t>(at);
        if (!ctx.Check().ok()) return 0.0;  // what comes of it is thrown away
        const double found[2] = {ValueOfRank(X.col(column), below),
                                 ValueOfRank(X.col(column), std::min(below + 1, static_cast<size_t>(X.rows - 1)))};
        double read[2];
        unit().Column({found, 2, 1, 2}, 0, 0, 2, read);
        return read[0] + (at - static_cast<double>(below)) * (read[1] - read[0]);
      };
      first_[j] = quantile(0.25);
      median_[j] = quantile(0.5);
      third_[j] = quantile(0.75);
      spread_[j] = third_[j] - first_[j];
      // Half of the values are equal: the spread of nine tenths, then of all, in its place; a constant column has its own unit.
      if (!(spread_[j] > 0)) spread_[j] = quantile(0.95) - quantile(0.05);
      if (!(spread_[j] > 0)) spread_[j] = quantile(1) - quantile(0);
      if (!(spread_[j] > 0)) spread_[j] = 1;
    });
  }
  double Beyond(size_t j, double x) const { return std::max(first_[j] - x, x - third_[j]) / spread_[j]; }
  double ScoreRow(std::span<const double> x) const override {
    double most = -std::numeric_limits<double>::infinity();
    for (size_t j = 0; j < d(); ++j) most = std::max(most, Beyond(j, x[j]));
    return most;
  }
  bool ExplainRows(MatrixView X, int64_t begin, int64_t end, const RowParts& out) const override {
    std::fill_n(out.scores, end - begin, -std::numeric_limits<double>::infinity());
    for (size_t j = 0; j < d(); ++j) {
      const auto column = static_cast<int64_t>(j);
      double* const parts = out.contributions + column * out.stride;
      if (end - begin == 1) {  // a row alone needs no loop over rows for each of its columns
        double x;
        unit().Column(X, column, begin, 1, &x);
        const double beyond = Beyond(j, x);
        *parts = Finite(beyond);
        *out.scores = std::max(*out.scores, beyond);
        continue;
      }
      unit().Column(X, column, begin, end - begin, parts);
      for (int64_t i = 0; i < end - begin; ++i) {
        parts[i] = Finite(Beyond(j, parts[i]));
        out.scores[i] = std::max(out.scores[i], parts[i]);
      }
    }
    return true;
  }
  bool ExplainsWithScore() const override { return true; }
  std::span<const double> Usual() const override { return median_; }
  std::string_view space() const override { return "interquartile ranges beyond the quartiles"; }
  int64_t BlockRows() const override { return 4096; }
  void SaveState(ByteWriter& out) const override {
    for (const auto* v : {&first_, &median_, &third_, &spread_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    first_ = ReadDoubles(in, "the first quartiles", features());
    median_ = ReadDoubles(in, "the medians", features());
    third_ = ReadDoubles(in, "the third quartiles", features());
    spread_ = ReadDoubles(in, "the spreads", features());
    for (const double s : spread_) {
      if (!(s > 0)) return in.Fail("a spread is not positive");
    }
  }

  std::vector<double> first_, median_, third_, spread_;
};

}  // namespace

extern const Descriptor k_iqr;
const Descriptor k_iqr = {
    .name = "iqr",
    .family = "probabilistic",
    .summary = "How many interquartile ranges a value lies outside the middle half of its column, the largest over the columns: plain, "
               "robust, what a box plot shows. Blind to values that are odd only together.",
    .paper = "J. W. Tukey, Exploratory data analysis, Addison-Wesley, 1977",
    .params = {},
    .deterministic = true,
    .fit_cost = "O(n d)",
    .score_cost = "O(d)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      return PassCost(n, d, 70, 2, 32.0 * static_cast<double>(d));
    },
    .make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<Iqr>(); },
};

}  // namespace vedette::outlier
