// ECOD: the sum over columns of the more extreme tail probability.
#include <algorithm>

#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/tails.h"

namespace vedette::outlier {
namespace {

/// The paper takes the maximum of three sums over columns; PyOD, whose meaning this is, sums the maxima per column.
double Combine(const Tails& t) { return std::max(std::max(t.left, t.right), t.skewed); }

class Ecod final : public Detector {
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

extern const Descriptor k_ecod;
const Descriptor k_ecod = {
    .name = "ecod",
    .family = "probabilistic",
    .summary =
        "How far out in its column's own distribution each value lies, by ranks: no parameters, no scaling. Blind to "
        "values that are odd only together.",
    .paper =
        "Z. Li et al., ECOD: unsupervised outlier detection using empirical cumulative distribution functions, TKDE, "
        "2022",
    .params = {},
    .deterministic = true,
    .own_training_scores = true,
    .fit_cost = "O(n d)",
    .score_cost = "O(d log n)",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      return PassCost(n, d, RankPasses(n), 30 * std::log2(static_cast<double>(n) + 2) / 16,
                      16.0 * static_cast<double>(n * d));
    },
    .make = [](const ParamSet&) -> std::unique_ptr<Detector> { return std::make_unique<Ecod>(); },
};

}  // namespace vedette::outlier
