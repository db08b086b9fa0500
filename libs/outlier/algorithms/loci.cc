// Local correlation integral (Papadimitriou et al. 2003). At a radius r, the rows within r of x are its sample, and
// n(q) is how many rows lie within alpha r of row q. MDEF = 1 - n(x) / mean n over the sample; it is set against its
// own deviation, the standard deviation of n over its mean. Radii are x's distances to all rows, and these over alpha;
// samples whose mean n is below 20 say nothing. The score is MDEF / deviation at the first radius where it exceeds k,
// else at the last radius.
//
// That is cubic in the rows. Above `max_rows` they are thinned to that many, drawn the same way for every seed; the
// others are scored as new rows. A new row is one more row beside the fitted ones (PyOD compares new rows among
// themselves).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/kernels/neighbor_gaps.h"
#include "outlier/kernels/neighbors.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kLeastMean = 20;   // the paper's least sample
constexpr int64_t kExplained = 20;  // nearest rows that an explanation compares with
constexpr double kMostScore = 1e100;
constexpr size_t kTogether = 4;

class Loci final : public Detector {
 public:
  explicit Loci(const ParamSet& params)
      : alpha_(params.Real("alpha")), k_(params.Real("k")), most_(params.Int("max_rows")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(ctx.Check());
    std::vector<int64_t> kept(static_cast<size_t>(X.rows));
    std::iota(kept.begin(), kept.end(), int64_t{0});
    if (X.rows > most_) kept = Rng(1).Sample(X.rows, most_), std::sort(kept.begin(), kept.end());
    Matrix sample(static_cast<int64_t>(kept.size()), X.cols);
    for (int64_t j = 0; j < X.cols; ++j) {
      for (size_t i = 0; i < kept.size(); ++i) sample(static_cast<int64_t>(i), j) = X(kept[i], j);
    }
    RETURN_IF_ERROR(index_.Build(sample, {}, ctx));
    RETURN_IF_ERROR(Take(sample, ctx));
    training_scores_.assign(static_cast<size_t>(X.rows), 0);
    std::vector<int64_t> place(static_cast<size_t>(X.rows), -1);
    for (size_t i = 0; i < kept.size(); ++i) place[static_cast<size_t>(kept[i])] = static_cast<int64_t>(i);
    return ScoreRows(X, place, training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    return ScoreRows(X, std::vector<int64_t>(static_cast<size_t>(X.rows), -1), scores, ctx);
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    return NeighborGaps(index_, {}, kExplained, X, ctx);
  }

  void Save(ByteWriter& out) const override { index_.Save(out); }
  absl::Status Load(ByteReader& in) override {
    training_scores_.clear();
    RETURN_IF_ERROR(index_.Load(in, {}));
    if (index_.rows() > most_) in.Fail("there are more rows than max_rows");
    RETURN_IF_ERROR(in.status());
    Matrix sample(index_.rows(), index_.features());
    for (int64_t j = 0; j < sample.cols(); ++j) {
      for (int64_t i = 0; i < sample.rows(); ++i) sample(i, j) = index_.Value(i, j);
    }
    return Take(sample, Context{});
  }
  int64_t features() const override { return index_.features(); }

 private:
  /// The sample's distances, each row's in ascending order.
  absl::Status Take(MatrixView sample, const Context& ctx) {
    RETURN_IF_ERROR(unit_.Fit(sample, ctx));
    ASSIGN_OR_RETURN(rows_, unit_.ReadAll(sample, ctx));
    n_ = static_cast<size_t>(sample.rows);
    d_ = static_cast<size_t>(sample.cols);
    sorted_.resize(n_ * (n_ + 1));
    return ParallelBlocks(ctx, sample.rows, 4, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        double* const own = sorted_.data() + i * (n_ + 1);
        DistancesFrom(rows_.data() + i * d_, own);
        std::sort(own, own + n_);
        own[n_] = std::numeric_limits<double>::infinity();
      }
    });
  }
  void DistancesFrom(const double* x, double* out) const {
    for (size_t q = 0; q < n_; ++q) out[q] = std::sqrt(SquaredDistance(x, rows_.data() + q * d_, d_));
  }

  /// place[i]: which row of the sample row i is, or -1.
  absl::Status ScoreRows(MatrixView X, const std::vector<int64_t>& place, std::span<double> scores,
                         const Context& ctx) const {
    const auto pairs = static_cast<int64_t>(n_ * n_ + 1);
    const int64_t grain = std::clamp<int64_t>(2'000'000 / pairs, 1, 64);
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, grain, [&](int64_t begin, int64_t end) {
      std::vector<double> x(d_), distance(n_);
      Work work;
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        unit_.Read(X, i, x.data());
        DistancesFrom(x.data(), distance.data());
        scores[at] = ScoreOf(distance, place[at] < 0, &work, ctx);
      }
    }));
    return ctx.Check();
  }

  struct Work {
    std::vector<double> radius, reach, sum, squares, own;  // reach: one more, which nothing is below
    std::array<std::vector<double>, kTogether>
        joined;  // distances of a row of the sample, with the scored row's among them
    std::array<std::vector<int32_t>, kTogether> count;
  };
  /// Rows of the sample whose counts are merged side by side.
  struct Batch {
    std::array<const double*, kTogether> sorted;  ///< ascending, an infinite one ends them
    std::array<size_t, kTogether> entry;          ///< the first radius that has the row in its sample
    size_t length = 0;                            ///< of each, without that one
    size_t size = 0;
  };

  /// The score of a row at these distances from the sample; `extra`: it is not of the sample. One row takes long, with
  /// a large sample: 0 where ctx says stop.
  double ScoreOf(const std::vector<double>& distance, bool extra, Work* w, const Context& ctx) const {
    Radii(distance, w);
    const size_t m = w->radius.size();
    if (m == 0) return 0;
    for (auto* v : {&w->sum, &w->squares, &w->own}) v->assign(m, 0);
    for (auto& count : w->count) count.resize(m + 1);
    // Its own row: itself, and the sample within reach.
    std::vector<double> mine(distance.begin(), distance.end());
    if (extra) mine.push_back(0);
    mine.push_back(std::numeric_limits<double>::infinity());
    std::sort(mine.begin(), mine.end());
    CountBelow({.sorted = {mine.data()}, .entry = {}, .length = mine.size() - 1, .size = 1}, w);
    std::copy_n(w->count[0].begin(), m, w->own.begin());
    if (extra) Join(1, 0, w);
    Batch batch{.sorted = {}, .entry = {}, .length = n_ + (extra ? 1 : 0)};
    for (size_t q = 0; q < n_; ++q) {
      if (q % 256 == 0 && !ctx.Check().ok()) return 0;
      const double* sorted = sorted_.data() + q * (n_ + 1);
      if (extra) {  // the scored row counts for this one, too
        std::vector<double>& joined = w->joined[batch.size];
        const double* const place = std::upper_bound(sorted, sorted + n_, distance[q]);
        joined.assign(sorted, place);
        joined.push_back(distance[q]);
        joined.insert(joined.end(), place, sorted + n_ + 1);
        sorted = joined.data();
      }
      batch.sorted[batch.size] = sorted;
      batch.entry[batch.size++] =
          static_cast<size_t>(std::lower_bound(w->radius.begin(), w->radius.end(), distance[q]) - w->radius.begin());
      if (batch.size < kTogether && q + 1 < n_) continue;
      CountBelow(batch, w);
      Join(batch.size, *std::min_element(batch.entry.begin(), batch.entry.begin() + static_cast<int64_t>(batch.size)),
           w);
      batch.size = 0;
    }
    return Verdict(distance, extra, *w);
  }

  /// The radii, ascending, and alpha times each.
  void Radii(const std::vector<double>& distance, Work* w) const {
    w->radius.clear();
    for (const double r : distance) {
      if (r > 0) w->radius.push_back(r), w->radius.push_back(r / alpha_);
    }
    std::sort(w->radius.begin(), w->radius.end());
    w->reach.assign(w->radius.size() + 1, -1);
    for (size_t t = 0; t < w->radius.size(); ++t) w->reach[t] = w->radius[t] * alpha_;
  }

  /// count[l][t]: how many of row l's distances are below reach[t], from its entry on; 0 before. Merged without a
  /// branch on the data, which no processor could foresee, and several rows side by side: each step of one waits for
  /// the step before.
  static void CountBelow(const Batch& batch, Work* w) {
    const double* const reach = w->reach.data();
    const size_t m = w->radius.size();
    std::array<size_t, kTogether> c{}, t{};
    std::array<const double*, kTogether> sorted{};
    std::array<int32_t*, kTogether> count{};
    for (size_t l = 0; l < kTogether; ++l) {
      const size_t own = l < batch.size ? l : 0;
      count[l] = w->count[l].data();
      sorted[l] = batch.sorted[own];
      t[l] = l < batch.size ? batch.entry[l] : m;
      if (t[l] < m)
        c[l] = static_cast<size_t>(std::lower_bound(sorted[l], sorted[l] + batch.length, reach[t[l]]) - sorted[l]);
      std::fill_n(count[l], t[l], 0);
    }
    while ((t[0] < m) | (t[1] < m) | (t[2] < m) | (t[3] < m)) {
      for (size_t l = 0; l < kTogether; ++l) {
        const size_t below = sorted[l][c[l]] < reach[t[l]] ? 1 : 0, open = t[l] < m ? 1 : 0;
        count[l][t[l]] = static_cast<int32_t>(c[l]);
        c[l] += below;
        t[l] += open & (1 - below);
      }
    }
  }

  /// Adds the first `rows` counts from the radius `entry` on.
  static void Join(size_t rows, size_t entry, Work* w) {
    const size_t m = w->radius.size();
    double *const sum = w->sum.data(), *const squares = w->squares.data();
    for (size_t l = 0; l < rows; ++l) {
      const int32_t* const count = w->count[l].data();
      for (size_t t = entry; t < m; ++t) {
        const double c = count[t];
        sum[t] += c;
        squares[t] += c * c;
      }
    }
  }

  double Verdict(const std::vector<double>& distance, bool extra, const Work& w) const {
    std::vector<double> near(distance);
    std::sort(near.begin(), near.end());
    double score = 0;
    size_t within = 0;
    for (size_t t = 0; t < w.radius.size(); ++t) {
      while (within < near.size() && near[within] <= w.radius[t]) ++within;
      const double size = static_cast<double>(within + (extra ? 1 : 0)), mean = w.sum[t] / size;
      if (!(mean >= kLeastMean)) continue;
      // Counts are whole numbers below 2^53 in all: size * squares - sum^2 is exactly 0 where they are equal.
      const double spread = std::sqrt(std::max(0.0, size * w.squares[t] - w.sum[t] * w.sum[t])) / size / mean;
      const double gap = 1 - w.own[t] / mean;
      score = spread > 0 ? std::clamp(gap / spread, -kMostScore, kMostScore) : (gap > 0 ? kMostScore : 0);
      if (gap > k_ * spread) break;
    }
    return score;
  }

  double alpha_, k_;
  int64_t most_;
  NeighborIndex index_;
  RowUnit unit_;
  size_t n_ = 0, d_ = 0;
  std::vector<double> rows_, sorted_;  ///< the sample; its distances, row by row
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "alpha",
     .type = ParamType::kReal,
     .default_value = "0.5",
     .min = 0.01,
     .max = 1,
     .summary =
         "Radius within which rows are counted, as a share of the radius of the sample that they are compared with."},
    {.name = "k",
     .type = ParamType::kReal,
     .default_value = "3",
     .min = 0,
     .max = 1000,
     .summary = "Deviations at which a row counts as found: larger radii are then not looked at."},
    {.name = "max_rows",
     .type = ParamType::kInt,
     .default_value = "300",
     .min = 20,
     .max = 4000,
     .summary = "Most rows that are compared with each other; more are thinned to that many. The cost grows with its "
                "square for every row."},
};

}  // namespace

extern const Descriptor k_loci;
const Descriptor k_loci = {
    .name = "loci",
    .family = "proximity",
    .summary =
        "How far a row has fewer neighbours than the rows around it, at every radius: finds single rows and small "
        "groups "
        "without a number of neighbours to choose. Cubic, so at most 300 rows are compared; needs comparable scales.",
    .paper =
        "S. Papadimitriou, H. Kitagawa, P. B. Gibbons, C. Faloutsos, LOCI: fast outlier detection using the local "
        "correlation "
        "integral, ICDE, 2003",
    .params = kParams,
    .deterministic = true,
    .own_training_scores = true,
    .wants_scaling = true,
    .fit_cost = "O(n m^2), m = min(n, max_rows)",
    .score_cost = "O(m^2)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double rows = static_cast<double>(n), m = static_cast<double>(std::min(n, p.Int("max_rows")));
      const double row = kRowFloor + 1.8e-8 * m * m + 1e-9 * m * static_cast<double>(d);
      return {.fit_seconds = kFitFloor + rows * row + 6e-8 * m * m,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 8 * (m * m + rows) + 32 * m * static_cast<double>(d),
              .model_bytes = kBytesFloor + 8 * m * m + 24 * m * static_cast<double>(d)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Loci>(params); },
};

}  // namespace vedette::outlier
