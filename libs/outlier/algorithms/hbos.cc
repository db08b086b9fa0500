// HBOS: the sum over columns of minus the log density of the value's histogram bin.
#include <algorithm>
#include <cmath>
#include <limits>

#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/detector.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr int64_t kBlockRows = 1024;
constexpr int64_t kMaxBins = 10000;

constexpr ParamSpec kParams[] = {
    {.name = "n_bins",
     .type = ParamType::kInt,
     .default_value = "10",
     .min = 0,
     .max = kMaxBins,
     .choices = "auto=0",
     .summary =
         "Bins of equal width per column; 0 or 'auto' finds the number for each column by the penalised likelihood of "
         "Birge and Rozenholc (2006)."},
    {.name = "alpha",
     .type = ParamType::kReal,
     .default_value = "0.1",
     .min = 1e-12,
     .max = 1e6,
     .summary = "Added to every density (1 / unit of the column) so that empty bins have a finite score."},
    {.name = "tol",
     .type = ParamType::kReal,
     .default_value = "0.5",
     .min = 0,
     .max = 1e6,
     .summary =
         "How far, in bin widths, a new value may lie outside the histogram and still count as in the outermost bin; "
         "beyond that it scores as the emptiest bin."},
};

/// One column's histogram over values * unit. Counting as numpy.histogram (bins closed on the left, the last one on
/// both sides), looking up as numpy.digitize(right=True) (bins closed on the right), as PyOD does.
struct Histogram {
  double unit = 1;
  double expected = 0;         ///< mean of the training values in the densest bin
  std::vector<double> edges;   ///< ascending, one more than bins
  std::vector<double> score;   ///< minus log2(density + alpha), per bin
  double inverse_width = 0;    ///< derived
  std::vector<double> bounds;  ///< derived: of each bin the lower and the upper edge, infinite at the ends
  std::vector<double> table;   ///< derived: score, and behind it the largest one

  int64_t bins() const { return static_cast<int64_t>(score.size()); }

  void Bound() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    inverse_width =
        std::min(static_cast<double>(bins()) / (edges.back() - edges.front()), std::numeric_limits<double>::max());
    bounds.clear();
    for (size_t k = 0; k < score.size(); ++k) {
      bounds.push_back(k == 0 ? -kInfinity : edges[k]);
      bounds.push_back(k + 1 == score.size() ? kInfinity : edges[k + 1]);
    }
  }
  void Derive() {
    Bound();
    table = score;
    table.push_back(*std::max_element(score.begin(), score.end()));
  }

  /// Bins as the width says, for up to kBlock values: right, or one off where rounding moves a value over an edge.
  static constexpr size_t kBlock = 512;
  void GuessBins(const double* raw, size_t count, int32_t* bin) const {
    const double first = edges.front(), own = unit, inverse = inverse_width, last = static_cast<double>(bins() - 1);
    for (size_t i = 0; i < count; ++i) {
      const double position = (raw[i] * own - first) * inverse, bounded = position > last ? last : position;
      bin[i] = static_cast<int32_t>(bounded > 0 ? bounded : 0);
    }
  }
  /// The entries of `table` for up to kBlock new values.
  void LookUp(const double* raw, size_t count, double tol, int32_t* entry) const {
    const double first = edges.front(), last = edges.back(), own = unit;
    const double* const edge = bounds.data();
    GuessBins(raw, count, entry);
    int outside = 0;
    for (size_t i = 0; i < count; ++i)
      outside |= static_cast<int>(raw[i] * own < first) | static_cast<int>(raw[i] * own > last);
    for (size_t i = 0; i < count; ++i) {
      const double x = raw[i] * own;
      const int32_t k = entry[i];
      entry[i] = k - static_cast<int32_t>(x <= edge[2 * k]) + static_cast<int32_t>(x > edge[2 * k + 1]);
    }
    if (outside == 0) return;
    const double below = (edges[1] - first) * tol, above = (last - edges[edges.size() - 2]) * tol;
    const auto end = static_cast<int32_t>(bins());
    for (size_t i = 0; i < count; ++i) {
      const double x = raw[i] * own;
      if (x < first) entry[i] = first - x <= below ? 0 : end;
      if (x > last) entry[i] = x - last <= above ? end - 1 : end;
    }
  }
};

/// numpy.linspace(first, last, bins + 1), to the last bit: a value that lies on an edge must be found there. A fused
/// multiply-add would round differently; the volatile keeps the compiler from contracting.
void SetEdges(double first, double last, int64_t bins, std::vector<double>& edges) {
  edges.resize(static_cast<size_t>(bins) + 1);
  const double step = (last - first) / static_cast<double>(bins);
  for (int64_t k = 0; k < bins; ++k) {
    const volatile double offset = static_cast<double>(k) * step;
    edges[static_cast<size_t>(k)] = offset + first;
  }
  edges.back() = last;
}

/// The number of bins that maximises the penalised likelihood (Birge and Rozenholc, "How many bins should be put in a
/// regular histogram", 2006), with PyOD's constants: the penalty inside the sum over bins, bins < sqrt(n).
int64_t BestBins(std::span<const double> sorted, double first, double last) {
  const auto n = static_cast<double>(sorted.size());
  const auto limit = std::min<int64_t>(static_cast<int64_t>(std::sqrt(n)), kMaxBins);
  int64_t best = 1;
  double best_value = -std::numeric_limits<double>::infinity();
  std::vector<double> edges;
  for (int64_t bins = 1; bins < limit; ++bins) {
    SetEdges(first, last, bins, edges);
    const auto b = static_cast<double>(bins);
    const double penalty = b - 1 + std::pow(std::log(b), 2.5);
    double value = 0;
    auto from = sorted.begin();
    for (int64_t k = 0; k < bins; ++k) {
      const auto to =
          k + 1 == bins ? sorted.end() : std::lower_bound(from, sorted.end(), edges[static_cast<size_t>(k) + 1]);
      const auto count = static_cast<double>(to - from);
      value += count * std::log(b * count / n + 1) - penalty;
      from = to;
    }
    if (value > best_value) {
      best_value = value;
      best = bins;
    }
  }
  return best;
}

class Hbos final : public Detector {
 public:
  explicit Hbos(const ParamSet& params)
      : n_bins_(params.Int("n_bins")), alpha_(params.Real("alpha")), tol_(params.Real("tol")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    const auto n = static_cast<size_t>(X.rows);
    columns_.assign(static_cast<size_t>(X.cols), {});
    training_scores_.assign(n, 0);
    const int64_t group = std::min<int64_t>(X.cols, ctx.pool == nullptr ? 1 : ctx.pool->threads() + 1);
    std::vector<std::vector<uint16_t>> bins(static_cast<size_t>(group), std::vector<uint16_t>(n));
    for (int64_t first = 0; first < X.cols; first += group) {  // parts are added in the order of columns
      const int64_t count = std::min(group, X.cols - first);
      RETURN_IF_ERROR(ParallelBlocks(ctx, count, 1, [&](int64_t c, int64_t) {
        FitColumn(X.col(first + c), columns_[static_cast<size_t>(first + c)], bins[static_cast<size_t>(c)]);
      }));
      for (int64_t c = 0; c < count; ++c) {
        const double* const score = columns_[static_cast<size_t>(first + c)].score.data();
        const uint16_t* const bin = bins[static_cast<size_t>(c)].data();
        for (size_t i = 0; i < n; ++i) training_scores_[i] += score[bin[i]];
      }
    }
    return absl::OkStatus();
  }

  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      double* const out = scores.data();
      std::fill(out + begin, out + end, 0.0);
      for (int64_t j = 0; j < X.cols; ++j) {
        const Histogram& h = columns_[static_cast<size_t>(j)];
        const double* const x = X.col(j).data();
        int32_t entry[Histogram::kBlock];
        for (int64_t at = begin; at < end; at += static_cast<int64_t>(Histogram::kBlock)) {
          const auto count = static_cast<size_t>(std::min(static_cast<int64_t>(Histogram::kBlock), end - at));
          h.LookUp(x + at, count, tol_, entry);
          for (size_t i = 0; i < count; ++i)
            out[at + static_cast<int64_t>(i)] += h.table[static_cast<size_t>(entry[i])];
        }
      }
    });
  }

  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = Matrix::ForOverwrite(1, X.cols),
                  .space = "score"};
    for (int64_t j = 0; j < X.cols; ++j) a.expected(0, j) = columns_[static_cast<size_t>(j)].expected;
    a.scores.assign(static_cast<size_t>(X.rows), 0);
    RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      constexpr auto kBlock = static_cast<int64_t>(Histogram::kBlock);
      for (int64_t j = 0; j < X.cols; ++j) {
        const Histogram& h = columns_[static_cast<size_t>(j)];
        const double* const x = X.col(j).data();
        double* const out = a.contributions.col(j).data();
        int32_t entry[Histogram::kBlock];
        for (int64_t at = begin; at < end; at += kBlock) {
          const auto count = static_cast<size_t>(std::min(kBlock, end - at));
          h.LookUp(x + at, count, tol_, entry);
          for (size_t i = 0; i < count; ++i) {
            const double part = h.table[static_cast<size_t>(entry[i])];
            out[at + static_cast<int64_t>(i)] = part;
            a.scores[static_cast<size_t>(at) + i] += part;
          }
        }
      }
    }));
    return a;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    out.I64(features());
    for (const Histogram& h : columns_) {
      out.F64(h.unit);
      out.F64(h.expected);
      out.I64(h.bins());
      out.Doubles(h.edges);
      out.Doubles(h.score);
    }
  }

  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    const int64_t cols = ReadInt(in, "the number of columns", 1, kMaxColumns);
    columns_.clear();
    training_scores_.clear();
    for (int64_t j = 0; j < cols && in.ok(); ++j) {
      Histogram h;
      h.unit = ReadFinite(in, "a column's unit");
      h.expected = ReadFinite(in, "an expected value");
      const int64_t bins = ReadInt(in, "the number of bins", 1, kMaxBins);
      h.edges = ReadDoubles(in, "the edges of bins", bins + 1);
      h.score = ReadDoubles(in, "the scores of bins", bins);
      if (in.ok() &&
          (!(h.unit > 0) || !std::is_sorted(h.edges.begin(), h.edges.end()) || !(h.edges.front() < h.edges.back()))) {
        in.Fail("a histogram contradicts itself");
      }
      RETURN_IF_ERROR(in.status());
      h.Derive();
      columns_.push_back(std::move(h));
    }
    return in.status();
  }

  int64_t features() const override { return static_cast<int64_t>(columns_.size()); }

 private:
  /// Fills the histogram, and for each row the bin that its value is looked up in.
  void FitColumn(std::span<const double> raw, Histogram& h, std::vector<uint16_t>& bins) const {
    const auto [low, high] = RangeOf(raw);
    h.unit = UnitFor(std::max(std::fabs(low), std::fabs(high)));
    double first = low * h.unit, last = high * h.unit;
    if (!(last > first)) {  // a constant column: as numpy, one unit wide around the value
      const double half = std::max(0.5 * h.unit, std::fabs(first) * 1e-12);
      first -= half;
      last += half;
    }
    int64_t n_bins = n_bins_;
    if (n_bins == 0) {
      std::vector<double> sorted(raw.begin(), raw.end());
      for (double& x : sorted) x *= h.unit;
      std::sort(sorted.begin(), sorted.end());
      n_bins = BestBins(sorted, first, last);
    }
    SetEdges(first, last, n_bins, h.edges);
    h.score.assign(static_cast<size_t>(n_bins), 0);
    h.Bound();
    const auto [counts, looked_up] = FillBins(raw, h, bins);
    const auto n = static_cast<double>(raw.size());
    for (size_t k = 0; k < counts.size(); ++k) {
      const double width = (h.edges[k + 1] - h.edges[k]) / h.unit;
      const double density = counts[k] == 0 ? 0 : std::min(static_cast<double>(counts[k]) / width / n, 1e300);
      h.score[k] = -std::log2(density + alpha_);
    }
    h.expected = CommonValue(raw, h, looked_up, bins);
    h.Derive();
  }

  struct Counts {
    std::vector<int64_t> counted, looked_up;  ///< values of each bin, by either meaning
  };

  /// Counts the bins, and notes for each row the bin that its value is looked up in.
  static Counts FillBins(std::span<const double> raw, const Histogram& h, std::vector<uint16_t>& bins) {
    constexpr size_t kLanes = 4;  // separate counters, so that increments of one bin do not wait for each other
    const auto n_bins = static_cast<size_t>(h.bins());
    const double unit = h.unit;
    const double* const edge = h.bounds.data();
    std::vector<int64_t> counts(kLanes * 2 * n_bins, 0);  // a lane's [bin][1 where it is looked up in the bin below]
    int32_t bin[Histogram::kBlock], code[Histogram::kBlock] = {};
    for (size_t begin = 0; begin < raw.size(); begin += Histogram::kBlock) {
      const size_t count = std::min(Histogram::kBlock, raw.size() - begin);
      const double* const x = raw.data() + begin;
      h.GuessBins(x, count, bin);
      uint16_t* const lookup = bins.data() + begin;
      for (size_t i = 0; i < count; ++i) {
        const double value = x[i] * unit, low = edge[2 * bin[i]], high = edge[2 * bin[i] + 1];
        const int32_t own = bin[i] - static_cast<int32_t>(value < low) + static_cast<int32_t>(value >= high);
        const int32_t below = static_cast<int32_t>(value == low) | static_cast<int32_t>(value == high);
        lookup[i] = static_cast<uint16_t>(own - below);
        code[i] = 2 * own + below;
      }
      size_t i = 0;
      for (; i + kLanes <= count; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) ++counts[lane * 2 * n_bins + static_cast<size_t>(code[i + lane])];
      }
      for (; i < count; ++i) ++counts[static_cast<size_t>(code[i])];
    }
    Counts out{std::vector<int64_t>(n_bins, 0), std::vector<int64_t>(n_bins, 0)};
    for (size_t i = 0; i < counts.size(); ++i) {
      const size_t entry = i % (2 * n_bins);
      out.counted[entry / 2] += counts[i];
      if (counts[i] > 0) out.looked_up[entry / 2 - entry % 2] += counts[i];
    }
    return out;
  }

  /// Mean of the values in the bin that scores lowest among those that hold values, the first row's of equal ones.
  static double CommonValue(std::span<const double> raw, const Histogram& h, const std::vector<int64_t>& looked_up,
                            const std::vector<uint16_t>& bins) {
    constexpr size_t kLanes = 8;
    double least = std::numeric_limits<double>::infinity();
    for (size_t k = 0; k < looked_up.size(); ++k) least = looked_up[k] > 0 ? std::min(least, h.score[k]) : least;
    const uint16_t common = *std::find_if(bins.begin(), bins.end(), [&](uint16_t b) { return h.score[b] <= least; });
    std::vector<double> weight(looked_up.size(), 0);  // a table is faster here than a comparison
    weight[common] = h.unit;
    double sum[kLanes] = {};
    const size_t n = raw.size(), whole = n / kLanes * kLanes;
    for (size_t i = 0; i < whole; i += kLanes) {
      for (size_t k = 0; k < kLanes; ++k) sum[k] += weight[bins[i + k]] * raw[i + k];
    }
    for (size_t i = whole; i < n; ++i) sum[0] += weight[bins[i]] * raw[i];
    const double total = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
    return total / static_cast<double>(looked_up[common]) / h.unit;
  }

  int64_t n_bins_;
  double alpha_, tol_;
  std::vector<Histogram> columns_;
  std::vector<double> training_scores_;
};

}  // namespace

extern const Descriptor k_hbos;
const Descriptor k_hbos = {
    .name = "hbos",
    .family = "probabilistic",
    .summary =
        "How empty the histogram bin of each value is, columns taken as independent: the fastest, and good on wide "
        "data. "
        "Blind to values that are odd only together; a far outlier can squeeze all others into one bin.",
    .paper = "M. Goldstein, A. Dengel, Histogram-based outlier score (HBOS), KI, 2012",
    .params = kParams,
    .deterministic = true,
    .fit_cost = "O(n d)",
    .score_cost = "O(d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      return PassCost(n, d, 6, 4, 16.0 * static_cast<double>(d * std::max<int64_t>(p.Int("n_bins"), 100)));
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Hbos>(params); },
};

}  // namespace vedette::outlier
