// Tukey's fences: how many interquartile ranges a value lies beyond the quartiles of its column, the largest over the
// columns (below 0: inside the box of every column; 1.5 is Tukey's fence).
#include <algorithm>
#include <cmath>

#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

/// numpy's default: linear between order statistics.
double Quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

class Iqr final : public RowDetector {
 private:
  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    first_.assign(d(), 0);
    third_ = median_ = spread_ = first_;
    return ParallelBlocks(ctx, features(), 1, [&](int64_t column, int64_t) {
      const auto j = static_cast<size_t>(column);
      std::vector<double> sorted(static_cast<size_t>(n));
      for (size_t i = 0; i < sorted.size(); ++i) sorted[i] = rows[i * d() + j];
      std::sort(sorted.begin(), sorted.end());
      first_[j] = Quantile(sorted, 0.25);
      median_[j] = Quantile(sorted, 0.5);
      third_[j] = Quantile(sorted, 0.75);
      spread_[j] = third_[j] - first_[j];
      // Half of the values are equal: the spread of nine tenths, then of all, in its place; a constant column has its own unit.
      if (!(spread_[j] > 0)) spread_[j] = Quantile(sorted, 0.95) - Quantile(sorted, 0.05);
      if (!(spread_[j] > 0)) spread_[j] = sorted.back() - sorted.front();
      if (!(spread_[j] > 0)) spread_[j] = 1;
    });
  }
  double Beyond(size_t j, double x) const { return std::max(first_[j] - x, x - third_[j]) / spread_[j]; }
  double ScoreRow(std::span<const double> x) const override {
    double most = -std::numeric_limits<double>::infinity();
    for (size_t j = 0; j < d(); ++j) most = std::max(most, Beyond(j, x[j]));
    return most;
  }
  bool ExplainRow(std::span<const double> x, std::span<double> parts, std::span<double>) const override {
    for (size_t j = 0; j < d(); ++j) parts[j] = Beyond(j, x[j]);
    return true;
  }
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
    .fit_cost = "O(n log n d)",
    .score_cost = "O(d)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost { return PassCost(n, d, 70, 2, 32.0 * static_cast<double>(d)); },
    .make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<Iqr>(); },
};

}  // namespace vedette::outlier
