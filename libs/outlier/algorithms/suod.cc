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
#include "outlier/parallel.h"
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
    RETURN_IF_ERROR(unit_.Fit(X, ctx));
    projection_.clear();
    if (project_ && X.cols >= kLeastColumns) Draw(X.cols, ctx.seed);
    ASSIGN_OR_RETURN(const Matrix projected, Projected(X, ctx));
    RETURN_IF_ERROR(near_.Fit({{.algorithm = "lof", .params = {{"n_neighbors", "15"}}},
                               {.algorithm = "lof", .params = {{"n_neighbors", "20"}}},
                               {.algorithm = "lof", .params = {{"n_neighbors", "25"}}}},
                              projected, ctx));
    RETURN_IF_ERROR(whole_.Fit({{.algorithm = "copod"}, {.algorithm = "iforest"}}, X, ctx));
    training_scores_.resize(static_cast<size_t>(X.rows));
    return Combine([&](int64_t i, size_t m) { return near_.training_scores(m)[static_cast<size_t>(i)]; },
                   [&](int64_t i, size_t m) { return whole_.training_scores(m)[static_cast<size_t>(i)]; },
                   training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    const int64_t together = std::max<int64_t>(16384, RowsPerLook(X.cols));  // rows: their projections are held
    for (int64_t at = 0; at < X.rows; at += together) {
      const MatrixView some = X.Rows(at, std::min(together, X.rows - at));
      ASSIGN_OR_RETURN(const Matrix projected, Projected(some, ctx));
      ASSIGN_OR_RETURN(const Matrix near, near_.Score(projected, ctx));
      ASSIGN_OR_RETURN(const Matrix whole, whole_.Score(some, ctx));
      RETURN_IF_ERROR(Combine([&](int64_t i, size_t m) { return near(i, static_cast<int64_t>(m)); },
                              [&](int64_t i, size_t m) { return whole(i, static_cast<int64_t>(m)); },
                              scores.subspan(static_cast<size_t>(at), static_cast<size_t>(some.rows)), ctx));
    }
    return ctx.Check();
  }

  /// The tail probabilities of copod, which sees the columns as they are.
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    ASSIGN_OR_RETURN(Attribution a, whole_.Explain(0, X, ctx));
    a.space = "tail probabilities (copod's part)";
    a.scores.clear();  // copod's
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
  /// near(row, member) and whole(row, member) of all members become a score, for every row.
  template <typename Near, typename Whole>
  absl::Status Combine(const Near& near, const Whole& whole, std::span<double> scores, const Context& ctx) const {
    return ParallelBlocks(ctx, std::ssize(scores), 4096, [&](int64_t begin, int64_t end) {
      std::vector<double> z;
      for (int64_t i = begin; i < end; ++i) {
        z.clear();
        for (size_t m = 0; m < near_.size(); ++m) z.push_back(near_.Standardised(m, near(i, m)));
        for (size_t m = 0; m < whole_.size(); ++m) z.push_back(whole_.Standardised(m, whole(i, m)));
        scores[static_cast<size_t>(i)] = maximum_ ? Maximum(z) : Average(z);
      }
    });
  }
  absl::StatusOr<Matrix> Projected(MatrixView X, const Context& ctx) const {
    const auto d = static_cast<size_t>(X.cols);
    const int64_t width = projection_.empty() ? X.cols : static_cast<int64_t>(projection_.size() / d);
    Matrix out = Matrix::ForOverwrite(X.rows, width);
    // Blocks of rows that stay in cache while all their projections are made.
    const int64_t grain = std::min<int64_t>(512, RowsPerLook(X.cols * width));
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t c = 0; c < width; ++c) {
        double* const to = out.col(c).data();
        if (projection_.empty()) {
          std::copy(X.col(c).data() + begin, X.col(c).data() + end, to + begin);
          continue;
        }
        std::fill(to + begin, to + end, 0.0);
        for (size_t j = 0; j < d; ++j) {
          const double w = projection_[static_cast<size_t>(c) * d + j] * unit_.unit();
          const double* const from = X.col(static_cast<int64_t>(j)).data();
          for (int64_t i = begin; i < end; ++i) to[i] += std::clamp(w * from[i], -1e100, 1e100);
        }
      }
    }));
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
