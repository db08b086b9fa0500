// R-graph (You, Robinson, Vidal 2017): each row is written as a sparse combination of the others, a walk goes from a
// row to the rows it is made of, and where the walk seldom comes is odd: normal rows are made of normal rows, odd rows
// need both and are needed by none. Score = minus the share of the walk that is spent on the row, relative to the mean
// row.
//
// PyOD's scores are those of `unit` = false, tau 1 and gamma 50, in their order. Rows that no other row needs tie at 0
// there; here they follow by how far they are from being needed: 1 less their alignment with the others' residuals, in
// (0, 1]. Rows scaled to length 1, as in the paper, keep far rows from making up small remainders of near ones, and a
// small gamma and tau suit tables, whose few columns any few rows span. A new row is scored as if it alone had been
// added to the fitted sample: exactly, yet only rows whose solution it changes are solved again (those whose residual
// it is aligned with). Of more than max_rows training rows, evenly spaced ones are the sample; the others are scored as
// new rows.
#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/sparse_code.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kMaxZ = 1e6;  // standard deviations; keeps products of rows finite
constexpr int64_t kBlock = 4;  // rows between two looks at the context

/// Where a walk goes from a row: to which rows, with what shares (their sum is 1, or there are none).
struct Steps {
  std::vector<int32_t> to;
  std::vector<double> shares;
};

class RGraph final : public Detector {
 public:
  explicit RGraph(const ParamSet& p)
      : unit_(p.Bool("unit")),
        gamma_(p.Real("gamma")),
        tau_(p.Real("tau")),
        steps_(p.Int("transition_steps")),
        most_(static_cast<size_t>(p.Int("n_nonzero"))),
        most_rows_(p.Int("max_rows")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override;
  std::span<const double> training_scores() const override { return training_scores_; }
  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override;
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override;
  void Save(ByteWriter& out) const override;
  absl::Status Load(ByteReader& in) override;
  int64_t features() const override { return scaling_.size(); }

 private:
  /// What one thread needs to score a row.
  struct Work {
    SparseCoder coder;
    std::vector<double> z, scales, alignment, products, mass, next, spent;
    std::vector<Steps> again;       // of the rows that a new row changes
    std::vector<int32_t> replaced;  // number in `again` of each row, or -1
  };

  double ScaleOf(const double* z) const {
    double squared = 0;
    for (size_t j = 0; j < d(); ++j) squared += z[j] * z[j];
    return unit_ && squared > 0 ? 1 / std::sqrt(squared) : 1;
  }
  size_t d() const { return static_cast<size_t>(scaling_.size()); }
  size_t m() const { return bounds_.size(); }
  const double* Row(size_t i) const { return rows_.data() + i * d(); }
  void Read(MatrixView X, int64_t row, std::vector<double>& z) const;
  void Index();
  SparseCoder::Problem ProblemOf(const double* y, Work& work, const double* extra) const;
  Steps StepsOf(const SparseCoder& coder) const;
  absl::Status Represent(const Context& ctx);
  void Walk(const std::vector<const Steps*>& from, Work& work) const;
  double Needed(const double* z, int64_t self, Work& work) const;
  absl::StatusOr<double> ScoreNew(Work& work, const Context& ctx) const;
  template <typename F>
  absl::Status ForRows(MatrixView X, const Context& ctx, const F& f) const;

  bool unit_;
  double gamma_, tau_;
  int64_t steps_;
  size_t most_;
  int64_t most_rows_;
  Standardizer scaling_;
  std::vector<double> rows_, residuals_, bounds_;  ///< of the sample, row-major; a bound of SparseCoder for each row
  std::vector<Steps> graph_;
  RowBlocks blocks_, residual_blocks_;
  std::vector<double> scales_;  ///< of the sample's rows, as they take part in combinations
  std::vector<double> training_scores_;
};

void RGraph::Read(MatrixView X, int64_t row, std::vector<double>& z) const {
  z.resize(d());
  for (size_t j = 0; j < d(); ++j) {
    z[j] = std::clamp(scaling_.Z(static_cast<int64_t>(j), X(row, static_cast<int64_t>(j))), -kMaxZ, kMaxZ);
  }
}

void RGraph::Index() {
  blocks_ = RowBlocks(rows_, m(), d());
  residual_blocks_ = RowBlocks(residuals_, m(), d());
  scales_.clear();
  for (size_t i = 0; i < m(); ++i) scales_.push_back(ScaleOf(Row(i)));
}

SparseCoder::Problem RGraph::ProblemOf(const double* y, Work& work, const double* extra) const {
  work.scales = scales_;
  work.scales.push_back(extra != nullptr ? ScaleOf(extra) : 0);
  return {.rows = &blocks_,
          .values = rows_.data(),
          .y = {y, d()},
          .scales = work.scales,
          .extra = extra,
          .gamma = gamma_,
          .tau = tau_};
}

/// The largest weights, the earlier row first where they are equal, as shares.
Steps RGraph::StepsOf(const SparseCoder& coder) const {
  std::vector<size_t> order;
  for (size_t a = 0; a < coder.chosen().size(); ++a) {
    if (coder.weights()[a] != 0) order.push_back(a);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double x = std::fabs(coder.weights()[a]), y = std::fabs(coder.weights()[b]);
    return x != y ? x > y : coder.chosen()[a] < coder.chosen()[b];
  });
  order.resize(std::min(order.size(), most_));
  double total = 0;
  for (const size_t a : order) total += std::fabs(coder.weights()[a]);
  Steps steps;
  if (!(total > 0) || !std::isfinite(total)) return steps;
  for (const size_t a : order) {
    steps.to.push_back(coder.chosen()[a]);
    steps.shares.push_back(std::fabs(coder.weights()[a]) / total);
  }
  return steps;
}

absl::Status RGraph::Represent(const Context& ctx) {
  graph_.assign(m(), {});
  return ParallelBlocks(ctx, static_cast<int64_t>(m()), kBlock, [&](int64_t begin, int64_t end) {
    Work work;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      SparseCoder::Problem problem = ProblemOf(Row(i), work, nullptr);
      problem.left_out = static_cast<int64_t>(i);
      work.coder.Solve(problem);
      graph_[i] = StepsOf(work.coder);
      std::copy(work.coder.residual().begin(), work.coder.residual().end(),
                residuals_.begin() + static_cast<int64_t>(i * d()));
      bounds_[i] = work.coder.bound();
    }
  });
}

/// work.spent = the mean, over the steps after the start, of a walk that starts anywhere; relative to the mean row.
void RGraph::Walk(const std::vector<const Steps*>& from, Work& work) const {
  const size_t n = from.size();
  work.mass.assign(n, 1);
  work.spent.assign(n, 0);
  for (int64_t step = 0; step < steps_; ++step) {
    work.next.assign(n, 0);
    for (size_t i = 0; i < n; ++i) {
      const Steps& s = *from[i];
      for (size_t e = 0; e < s.to.size(); ++e) work.next[static_cast<size_t>(s.to[e])] += work.mass[i] * s.shares[e];
    }
    work.mass.swap(work.next);
    for (size_t i = 0; i < n; ++i) work.spent[i] += work.mass[i] / static_cast<double>(steps_);
  }
}

/// How near a row is to being needed by another one: its largest alignment with a residual; 1 or more: it is needed.
/// Fills work.alignment.
double RGraph::Needed(const double* z, int64_t self, Work& work) const {
  const double scale = ScaleOf(z);
  double most = 0;
  work.products.resize(blocks_.padded());
  residual_blocks_.Products(z, work.products.data());
  work.alignment.assign(m(), 0);
  for (size_t k = 0; k < m(); ++k) {
    if (static_cast<int64_t>(k) == self || !(bounds_[k] > 0)) continue;
    work.alignment[k] = std::fabs(work.products[k]) * scale / bounds_[k];
    most = std::max(most, work.alignment[k]);
  }
  return most;
}

absl::Status RGraph::Fit(MatrixView X, const Context& ctx) {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(scaling_.FitMeanAndDeviation(X, ctx));
  const auto used = static_cast<size_t>(std::min(X.rows, most_rows_));
  const auto place = [&](size_t k) { return static_cast<int64_t>(k) * X.rows / static_cast<int64_t>(used); };
  std::vector<double> z;
  rows_.clear();
  for (size_t k = 0; k < used; ++k) {
    Read(X, place(k), z);
    rows_.insert(rows_.end(), z.begin(), z.end());
  }
  residuals_.assign(rows_.size(), 0);
  bounds_.assign(used, 0);
  Index();
  RETURN_IF_ERROR(Represent(ctx));
  Index();

  training_scores_.assign(static_cast<size_t>(X.rows), 0);
  if (used < static_cast<size_t>(X.rows)) RETURN_IF_ERROR(Score(X, training_scores_, ctx));
  Work work;
  std::vector<const Steps*> from;
  for (const Steps& s : graph_) from.push_back(&s);
  Walk(from, work);
  const std::vector<double> spent = work.spent;
  return ParallelBlocks(ctx, static_cast<int64_t>(used), 64, [&](int64_t begin, int64_t end) {
    Work own;
    for (auto k = static_cast<size_t>(begin); k < static_cast<size_t>(end); ++k) {
      const double score = spent[k] > 0 ? -spent[k] : 1 - std::min(1.0, Needed(Row(k), static_cast<int64_t>(k), own));
      training_scores_[static_cast<size_t>(place(k))] = score;
    }
  });
}

/// The score of work.z, as if it were one more row of the sample.
absl::StatusOr<double> RGraph::ScoreNew(Work& work, const Context& ctx) const {
  const std::vector<double>& z = work.z;
  const double needed = Needed(z.data(), -1, work);
  // A row whose best alignment the new row exceeds gets another penalty, and so another solution.
  work.products.resize(blocks_.padded());
  blocks_.Products(z.data(), work.products.data());
  std::vector<size_t> changed;
  const double scale = ScaleOf(z.data());
  for (size_t k = 0; k < m(); ++k) {
    const double aligned = std::fabs(work.products[k]) * scale;
    if (work.alignment[k] > 1 || aligned > gamma_ * bounds_[k]) changed.push_back(k);
  }
  work.again.clear();
  work.replaced.assign(m(), -1);
  bool comes = false;
  for (size_t c = 0; c < changed.size(); ++c) {
    RETURN_IF_ERROR(ctx.Check());
    SparseCoder::Problem problem = ProblemOf(Row(changed[c]), work, z.data());
    problem.left_out = static_cast<int64_t>(changed[c]);
    work.coder.Solve(problem);
    work.replaced[changed[c]] = static_cast<int32_t>(c);
    work.again.push_back(StepsOf(work.coder));
    const auto& to = work.again.back().to;
    comes = comes || std::find(to.begin(), to.end(), static_cast<int32_t>(m())) != to.end();
  }
  if (!comes) return 1 - std::min(1.0, needed);
  work.coder.Solve(ProblemOf(z.data(), work, nullptr));
  const Steps own = StepsOf(work.coder);
  std::vector<const Steps*> from;
  for (size_t k = 0; k < m(); ++k) {
    from.push_back(work.replaced[k] >= 0 ? &work.again[static_cast<size_t>(work.replaced[k])] : &graph_[k]);
  }
  from.push_back(&own);
  Walk(from, work);
  return -work.spent[m()];
}

/// f(row, work) for every row, with its standardised values in work.z.
template <typename F>
absl::Status RGraph::ForRows(MatrixView X, const Context& ctx, const F& f) const {
  RETURN_IF_ERROR(ctx.Check());
  std::atomic<bool> stopped{false};
  RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, kBlock, [&](int64_t begin, int64_t end) {
    Work work;
    for (int64_t i = begin; i < end && !stopped; ++i) {
      Read(X, i, work.z);
      if (!f(i, work).ok()) stopped = true;
    }
  }));
  return stopped ? ctx.Check() : absl::OkStatus();
}

absl::Status RGraph::Score(MatrixView X, std::span<double> scores, const Context& ctx) const {
  return ForRows(X, ctx, [&](int64_t i, Work& work) -> absl::Status {
    ASSIGN_OR_RETURN(scores[static_cast<size_t>(i)], ScoreNew(work, ctx));
    return absl::OkStatus();
  });
}

absl::StatusOr<Attribution> RGraph::Explain(MatrixView X, const Context& ctx) const {
  Attribution a{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "squared distance to the rows it is made of"};
  RETURN_IF_ERROR(ForRows(X, ctx, [&](int64_t i, Work& work) {
    SparseCoder::Problem problem = ProblemOf(work.z.data(), work, nullptr);
    for (size_t k = 0; k < m() && problem.left_out < 0; ++k) {  // a training row is not made of itself
      if (std::equal(work.z.begin(), work.z.end(), Row(k))) problem.left_out = static_cast<int64_t>(k);
    }
    work.coder.Solve(problem);
    const Steps steps = StepsOf(work.coder);
    for (size_t j = 0; j < d(); ++j) {
      double made = 0;
      for (size_t e = 0; e < steps.to.size(); ++e) made += steps.shares[e] * Row(static_cast<size_t>(steps.to[e]))[j];
      const double gap = work.z[j] - made;
      a.contributions(i, static_cast<int64_t>(j)) = gap * gap;
      a.expected(i, static_cast<int64_t>(j)) = scaling_.Unscaled(static_cast<int64_t>(j), made);
    }
    return absl::OkStatus();
  }));
  return a;
}

void RGraph::Save(ByteWriter& out) const {
  out.U32(1);
  out.I64(features());
  scaling_.Save(out);
  for (const auto* v : {&rows_, &residuals_, &bounds_}) out.Doubles(*v);
  for (const Steps& s : graph_) {
    out.I32s(s.to);
    out.Doubles(s.shares);
  }
}

absl::Status RGraph::Load(ByteReader& in) {
  ReadVersion(in, 1);
  const int64_t d = ReadInt(in, "the number of columns", 1, kMaxColumns);
  scaling_.Load(in, d);
  rows_ = in.Doubles();
  residuals_ = ReadDoubles(in, "the residuals", static_cast<int64_t>(rows_.size()));
  if (in.ok() && (rows_.empty() || rows_.size() % static_cast<size_t>(d) != 0))
    in.Fail("the sample's rows are cut off");
  RETURN_IF_ERROR(in.status());
  const int64_t m = static_cast<int64_t>(rows_.size()) / d;
  bounds_ = ReadDoubles(in, "the bounds", m);
  RETURN_IF_ERROR(in.status());
  for (const auto* v : {&rows_, &residuals_}) {
    for (const double x : *v) {
      if (!(std::fabs(x) <= 1e12)) in.Fail("a row of the sample is out of range");
    }
  }
  if (!std::all_of(bounds_.begin(), bounds_.end(), [](double b) { return b >= 0; })) in.Fail("a bound is negative");
  graph_.assign(static_cast<size_t>(m), {});
  for (Steps& s : graph_) {
    s.to = in.I32s();
    s.shares = ReadDoubles(in, "the shares of a row", static_cast<int64_t>(s.to.size()));
    RETURN_IF_ERROR(in.status());
    if (!std::all_of(s.to.begin(), s.to.end(), [m](int32_t k) { return k >= 0 && k < m; }) ||
        !std::all_of(s.shares.begin(), s.shares.end(), [](double v) { return v >= 0 && v <= 1; })) {
      in.Fail("a step leads nowhere");
    }
  }
  RETURN_IF_ERROR(in.status());
  training_scores_.clear();
  Index();
  return absl::OkStatus();
}

constexpr ParamSpec kParams[] = {
    {.name = "unit",
     .type = ParamType::kBool,
     .default_value = "true",
     .summary = "Whether rows are scaled to length 1 before they take part in combinations, as in the paper."},
    {.name = "gamma",
     .type = ParamType::kReal,
     .default_value = "3",
     .min = 1,
     .max = 10000,
     .summary = "How closely a row is rebuilt: the penalty is the least that would rebuild nothing, divided by this."},
    {.name = "tau",
     .type = ParamType::kReal,
     .default_value = "0.5",
     .min = 0.1,
     .max = 1,
     .summary =
         "Share of the absolute in the penalty; the rest is squares, which spread a row over rows that are alike."},
    {.name = "transition_steps",
     .type = ParamType::kInt,
     .default_value = "10",
     .min = 1,
     .max = 1000,
     .summary = "Steps of the walk whose mean is taken."},
    {.name = "n_nonzero",
     .type = ParamType::kInt,
     .default_value = "10",
     .min = 1,
     .max = 1000,
     .summary = "Rows that a row leads to at most: those with the largest coefficients."},
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "1000",
     .min = 10,
     .max = 10000,
     .summary = "Of more training rows, so many evenly spaced ones are the sample that rows are made of."},
};

}  // namespace

extern const Descriptor k_rgraph;
const Descriptor k_rgraph = {
    .name = "rgraph",
    .family = "linear",
    .summary =
        "Rows that few others are made of, by a walk from rows to what they are made of: anomalies off the subspaces "
        "that "
        "normal rows span. Dear; the sample is at most a thousand rows.",
    .paper =
        "C. You, D. P. Robinson, R. Vidal, Provable self-representation based outlier detection in a union of "
        "subspaces, CVPR, 2017",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .fit_cost = "O(m^2 d s + n m d s), m the sample, s the rows that one is made of",
    .score_cost = "O(m d s^2)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double m = static_cast<double>(std::min(n, p.Int("max_rows"))), width = static_cast<double>(d);
      const double solve = 2e-6 + (width + 4) * (3e-7 + m * (2.2e-9 + 6.6e-10 * width));
      const double row = kRowFloor + (width + 3) * solve + 2e-9 * m * static_cast<double>(p.Int("transition_steps"));
      return {.fit_seconds = kFitFloor + m * solve + std::max(0.0, static_cast<double>(n) - m) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 8 * static_cast<double>(n) + 64 * m * (width + 20),
              .model_bytes = kBytesFloor + m * (16 * width + 12 * static_cast<double>(p.Int("n_nonzero")) + 24)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<RGraph>(params); },
};

}  // namespace vedette::outlier
