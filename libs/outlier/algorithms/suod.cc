// SUOD (Zhao et al. 2021): several different detectors at once, those that suffer from many columns on a random projection of
// them (Johnson, Lindenstrauss), the scores standardised by those of the training rows and averaged. The paper's scheduler
// spreads members of unlike cost over workers by a forecast; so does Committee, by the descriptors' costs, and every member
// spreads its own rows over all threads besides.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/combination.h"
#include "outlier/committee.h"
#include "outlier/cost.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr double kProjected = 0.6;  // columns of the projection, as a share
constexpr int64_t kLeastColumns = 8;  // fewer are not projected

class Suod final : public Detector {
 public:
  explicit Suod(const ParamSet& params) : maximum_(params.Choice("combination") == "maximum"), project_(params.Bool("project")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(ctx.Check());
    unit_.Fit(X);
    projection_.clear();
    if (project_ && X.cols >= kLeastColumns) Draw(X.cols, ctx.seed);
    RETURN_IF_ERROR(near_.Fit({{.algorithm = "lof", .params = {{"n_neighbors", "15"}}},
                               {.algorithm = "lof", .params = {{"n_neighbors", "20"}}},
                               {.algorithm = "lof", .params = {{"n_neighbors", "25"}}}},
                              Projected(X), ctx));
    RETURN_IF_ERROR(whole_.Fit({{.algorithm = "copod"}, {.algorithm = "iforest"}}, X, ctx));
    training_scores_.resize(static_cast<size_t>(X.rows));
    std::vector<double> z;
    for (size_t i = 0; i < training_scores_.size(); ++i) {
      z.clear();
      for (size_t m = 0; m < near_.size(); ++m) z.push_back(near_.Standardised(m, near_.training_scores(m)[i]));
      for (size_t m = 0; m < whole_.size(); ++m) z.push_back(whole_.Standardised(m, whole_.training_scores(m)[i]));
      training_scores_[i] = maximum_ ? Maximum(z) : Average(z);
    }
    return absl::OkStatus();
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    ASSIGN_OR_RETURN(const Matrix near, near_.Score(Projected(X), ctx));
    ASSIGN_OR_RETURN(const Matrix whole, whole_.Score(X, ctx));
    std::vector<double> z;
    for (int64_t i = 0; i < X.rows; ++i) {
      z.clear();
      for (size_t m = 0; m < near_.size(); ++m) z.push_back(near_.Standardised(m, near(i, static_cast<int64_t>(m))));
      for (size_t m = 0; m < whole_.size(); ++m) z.push_back(whole_.Standardised(m, whole(i, static_cast<int64_t>(m))));
      scores[static_cast<size_t>(i)] = maximum_ ? Maximum(z) : Average(z);
    }
    return absl::OkStatus();
  }

  /// The tail probabilities of copod, which sees the columns as they are.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    ASSIGN_OR_RETURN(Attribution a, whole_.Explain(0, X, ctx));
    a.space = "tail probabilities (copod's part)";
    return a;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    unit_.Save(out);
    out.Doubles(projection_);
    near_.Save(out);
    whole_.Save(out);
  }
  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    unit_.Load(in);
    training_scores_.clear();
    projection_ = in.Doubles();
    near_.Load(in);
    whole_.Load(in);
    RETURN_IF_ERROR(in.status());
    const auto d = static_cast<size_t>(unit_.features());
    const int64_t width = projection_.empty() ? unit_.features() : static_cast<int64_t>(projection_.size() / d);
    if (projection_.size() % d != 0 || near_.features() != width || whole_.features() != unit_.features() || near_.size() != 3 || whole_.size() != 2) {
      in.Fail("the members do not fit the columns");
    }
    for (const double w : projection_) {
      if (!(std::fabs(w) < 100)) in.Fail("the projection is out of range");
    }
    return in.status();
  }
  int64_t features() const override { return unit_.features(); }

 private:
  void Draw(int64_t columns, uint64_t seed) {
    const auto width = static_cast<int64_t>(std::ceil(kProjected * static_cast<double>(columns)));
    Rng rng(seed, 4711);
    for (int64_t i = 0; i < width * columns; ++i) projection_.push_back(rng.Normal() / std::sqrt(static_cast<double>(width)));
  }
  Matrix Projected(MatrixView X) const {
    const auto d = static_cast<size_t>(X.cols);
    if (projection_.empty()) {
      Matrix out(X.rows, X.cols);
      for (int64_t j = 0; j < X.cols; ++j) std::copy(X.col(j).begin(), X.col(j).end(), out.col(j).begin());
      return out;
    }
    Matrix out(X.rows, static_cast<int64_t>(projection_.size() / d));
    for (int64_t c = 0; c < out.cols(); ++c) {
      const std::span<double> to = out.col(c);
      for (size_t j = 0; j < d; ++j) {
        const double w = projection_[static_cast<size_t>(c) * d + j] * unit_.unit();
        const std::span<const double> from = X.col(static_cast<int64_t>(j));
        for (size_t i = 0; i < to.size(); ++i) to[i] += std::clamp(w * from[i], -1e100, 1e100);
      }
    }
    return out;
  }

  bool maximum_, project_;
  RowUnit unit_;
  std::vector<double> projection_;
  Committee near_, whole_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "combination",
     .type = ParamType::kChoice,
     .default_value = "average",
     .choices = "average|maximum",
     .summary = "How the members' standardised scores become one."},
    {.name = "project",
     .type = ParamType::kBool,
     .default_value = "true",
     .summary = "Whether the neighbour members see a random projection to six tenths of the columns (from eight columns on)."},
};

}  // namespace

extern const Descriptor k_suod;
const Descriptor k_suod = {
    .name = "suod",
    .family = "ensemble",
    .summary = "Three local outlier factors on a random projection, copod and an isolation forest, averaged: a broad first look that "
               "needs no tuning. Its neighbour members need comparable scales.",
    .paper = "Y. Zhao et al., SUOD: Accelerating large-scale unsupervised heterogeneous outlier detection, MLSys, 2021",
    .params = kParams,
    .deterministic = false,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "the fits of its members: O(n log n d) for few features, O(n^2 d) for many",
    .score_cost = "the scores of its members",
    .cost = [](const ParamSet&, int64_t n, int64_t d) -> Cost {
      const Cost one = NeighborCost(n, d, 25, 5e-7), rest = PassCost(n, d, 300, 100, 32.0 * static_cast<double>(n * d));
      return {3 * one.fit_seconds + rest.fit_seconds + 0.003, 3 * one.score_seconds_per_row + rest.score_seconds_per_row,
              3 * one.fit_bytes + rest.fit_bytes, 3 * one.model_bytes + rest.model_bytes};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Suod>(params); },
};

}  // namespace vedette::outlier
