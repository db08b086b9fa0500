// COPOD: the empirical copula's tail probabilities, corrected by skewness.
#include <algorithm>

#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/tails.h"

namespace vedette::outlier {
namespace {

double Combine(const Tails& t) { return std::max(t.skewed, (t.left + t.right) / 2); }

class Copod final : public Detector {
 public:
  absl::Status Fit(MatrixView X, const Context& ctx) override { return tails_.Fit(X, training_scores_, ctx); }
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return tails_.Score(X, scores, ctx);
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return tails_.Explain(X, ctx);
  }
  void Save(ByteWriter& out) const override { tails_.Save(out); }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    return tails_.Load(in);
  }
  int64_t features() const override { return tails_.features(); }

 private:
  EmpiricalTails tails_{Combine};
  std::vector<double> training_scores_;
};

}  // namespace

extern const Descriptor k_copod;
const Descriptor k_copod = {
    .name = "copod",
    .family = "probabilistic",
    .summary =
        "Tail probabilities per column, on the side that the column is skewed to: no parameters, no scaling. Misses "
        "outliers on the short side, and values that are odd only together.",
    .paper = "Z. Li, Y. Zhao et al., COPOD: copula-based outlier detection, ICDM, 2020",
    .params = {},
    .deterministic = true,
    .own_training_scores = true,
    .fit_cost = "O(n d)",
    .score_cost = "O(d log n)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      return PassCost(n, d, RankPasses(n), 30 * std::log2(static_cast<double>(n) + 2) / 16,
                      16.0 * static_cast<double>(n * d));
    },
    .make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<Copod>(); },
};

}  // namespace vedette::outlier
