// Feature bagging (Lazarevic, Kumar 2005): LOF on random halves or more of the columns, the factors averaged (or their
// largest): factors of different columns are comparable as they are.
#include "base/rng.h"
#include "base/status.h"
#include "outlier/combination.h"
#include "outlier/committee.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr const char* kMember = "lof";

class FeatureBagging final : public Detector {
 public:
  explicit FeatureBagging(const ParamSet& params)
      : estimators_(params.Int("n_estimators")), neighbors_(params.Int("n_neighbors")), maximum_(params.Choice("combination") == "maximum") {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    std::vector<MemberSpec> specs;
    for (int64_t m = 0; m < estimators_; ++m) {
      Rng rng(ctx.seed, static_cast<uint64_t>(m));
      const int64_t least = std::max<int64_t>(1, X.cols / 2);
      const int64_t count = least + static_cast<int64_t>(rng.Below(static_cast<uint64_t>(X.cols - least + 1)));
      MemberSpec spec{.algorithm = kMember, .params = {{"n_neighbors", std::to_string(neighbors_)}}};
      for (const int64_t column : rng.Sample(X.cols, count)) spec.columns.push_back(static_cast<int32_t>(column));
      std::sort(spec.columns.begin(), spec.columns.end());
      specs.push_back(std::move(spec));
    }
    RETURN_IF_ERROR(committee_.Fit(std::move(specs), X, ctx));
    training_scores_.resize(static_cast<size_t>(X.rows));
    return Combine([&](int64_t i, size_t m) { return committee_.training_scores(m)[static_cast<size_t>(i)]; },
                   training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    ASSIGN_OR_RETURN(const Matrix raw, committee_.Score(X, ctx));
    return Combine([&](int64_t i, size_t m) { return raw(i, static_cast<int64_t>(m)); }, scores, ctx);
  }

  /// The mean of the members' parts, each over its own size.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "mean share of the members' local outlier factors"};
    out.scores.resize(static_cast<size_t>(X.rows));
    Matrix seen(X.rows, X.cols);
    RETURN_IF_ERROR(committee_.ExplainAll(X, ctx, [&](const Committee::Parts& parts) {
      for (const auto& part : parts.members) {
        for (int64_t i = 0; i < parts.raw.rows(); ++i) Add(*part, i, parts.first + i, seen, &out);
      }
      const auto rows = static_cast<size_t>(parts.raw.rows());
      return Combine([&](int64_t i, size_t m) { return parts.raw(i, static_cast<int64_t>(m)); },
                     std::span(out.scores).subspan(static_cast<size_t>(parts.first), rows), ctx);
    }));
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = 0; i < X.rows; ++i) {
        if (seen(i, j) == 0 || !std::isfinite(out.expected(i, j))) out.expected(i, j) = X(i, j);
      }
    }
    return out;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    committee_.Save(out);
  }
  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    committee_.Load(in);
    training_scores_.clear();
    for (size_t m = 0; m < committee_.size() && in.ok(); ++m) {
      if (committee_.algorithm(m) != kMember) in.Fail("a member is of another algorithm");
    }
    return in.status();
  }
  int64_t features() const override { return committee_.features(); }

 private:
  /// Row i of a member's parts to row `to` of all.
  void Add(const Attribution& part, int64_t i, int64_t to, Matrix& seen, Attribution* out) const {
    double most = 0;
    for (int64_t j = 0; j < seen.cols(); ++j) most = std::max(most, std::fabs(part.contributions(i, j)));
    for (int64_t j = 0; j < seen.cols(); ++j) {
      if (part.contributions(i, j) == 0) continue;
      out->contributions(to, j) += part.contributions(i, j) / most / static_cast<double>(committee_.size());
      out->expected(to, j) += (part.Expected(i, j) - out->expected(to, j)) / (seen(to, j) += 1);
    }
  }
  /// factor(row, member) of all members become a score, for every row.
  template <typename F>
  absl::Status Combine(const F& factor, std::span<double> scores, const Context& ctx) const {
    const auto members = static_cast<int64_t>(committee_.size());
    return ParallelBlocks(ctx, std::ssize(scores), RowsPerLook(8 * members), [&](int64_t begin, int64_t end) {
      std::vector<double> factors(committee_.size());
      for (int64_t i = begin; i < end; ++i) {
        for (size_t m = 0; m < factors.size(); ++m) factors[m] = factor(i, m);
        scores[static_cast<size_t>(i)] = maximum_ ? Maximum(factors) : Average(factors);
      }
    });
  }

  int64_t estimators_, neighbors_;
  bool maximum_;
  Committee committee_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_estimators", .type = ParamType::kInt, .default_value = "10", .min = 1, .max = 200, .summary = "Number of random sets of columns."},
    {.name = "n_neighbors", .type = ParamType::kInt, .default_value = "20", .min = 1, .max = 1000, .summary = "Neighbours of the local outlier factors."},
    {.name = "combination",
     .type = ParamType::kChoice,
     .default_value = "average",
     .choices = "average|maximum",
     .summary = "How the members' factors become one."},
};

}  // namespace

extern const Descriptor k_feature_bagging;
const Descriptor k_feature_bagging = {
    .name = "feature_bagging",
    .family = "ensemble",
    .summary = "Local outlier factors on ten random sets of columns, averaged: steadier than one where many columns say nothing. Ten "
               "times the cost of lof; needs comparable scales.",
    .paper = "A. Lazarevic, V. Kumar, Feature bagging for outlier detection, KDD, 2005",
    .params = kParams,
    .deterministic = false,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "the fits of its members: O(m n log n d) for few features, O(m n^2 d) for many",
    .score_cost = "the scores of its members",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double m = static_cast<double>(p.Int("n_estimators"));
      const Cost one = NeighborCost(n, d, p.Int("n_neighbors"), 2e-8 * static_cast<double>(p.Int("n_neighbors")));
      return {m * one.fit_seconds, m * one.score_seconds_per_row, m * one.fit_bytes, m * one.model_bytes};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<FeatureBagging>(params); },
};

}  // namespace vedette::outlier
