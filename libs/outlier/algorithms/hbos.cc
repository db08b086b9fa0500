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
     .summary = "Bins of equal width per column; 0 or 'auto' finds the number for each column by the penalised likelihood of "
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
     .summary = "How far, in bin widths, a new value may lie outside the histogram and still count as in the outermost bin; "
                "beyond that it scores as the emptiest bin."},
};

/// One column's histogram over values * unit. Counting as numpy.histogram (bins closed on the left, the last one on
/// both sides), looking up as numpy.digitize(right=True) (bins closed on the right), as PyOD does.
struct Histogram {
  double unit = 1;
  double expected = 0;          ///< mean of the training values in the densest bin
  std::vector<double> edges;    ///< ascending, one more than bins
  std::vector<double> score;    ///< minus log2(density + alpha), per bin
  double inverse_width = 0;     ///< derived
  double rarest = 0;            ///< derived: the largest score

  int64_t bins() const { return static_cast<int64_t>(score.size()); }

  void Derive() {
    const double range = edges.back() - edges.front();
    inverse_width = std::min(static_cast<double>(bins()) / range, std::numeric_limits<double>::max());
    rarest = *std::max_element(score.begin(), score.end());
  }

  /// Bin as numpy.histogram counts it, for x inside [edges.front(), edges.back()].
  int64_t CountBin(double x) const {
    const auto last = static_cast<double>(bins() - 1);
    auto k = static_cast<int64_t>(std::clamp((x - edges.front()) * inverse_width, 0.0, last));
    k -= k > 0 && x < edges[static_cast<size_t>(k)] ? 1 : 0;
    k += k < bins() - 1 && x >= edges[static_cast<size_t>(k) + 1] ? 1 : 0;
    return k;
  }
  /// Bin that such a value is looked up in: a value on a bin's left edge belongs to the bin below.
  int64_t LookupBin(double x, int64_t count_bin) const {
    return count_bin - (count_bin > 0 && x <= edges[static_cast<size_t>(count_bin)] ? 1 : 0);
  }

  double Score(double raw, double tol) const {
    const double x = raw * unit;
    if (x < edges.front()) return edges.front() - x <= (edges[1] - edges[0]) * tol ? score.front() : rarest;
    if (x > edges.back()) return x - edges.back() <= (edges.back() - edges[edges.size() - 2]) * tol ? score.back() : rarest;
    return score[static_cast<size_t>(LookupBin(x, CountBin(x)))];
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
      const auto to = k + 1 == bins ? sorted.end() : std::lower_bound(from, sorted.end(), edges[static_cast<size_t>(k) + 1]);
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
        for (int64_t i = begin; i < end; ++i) out[i] += h.Score(x[i], tol_);
      }
    });
  }

  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    Attribution a{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "score"};
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      for (int64_t j = 0; j < X.cols; ++j) {
        const Histogram& h = columns_[static_cast<size_t>(j)];
        for (int64_t i = begin; i < end; ++i) {
          a.contributions(i, j) = h.Score(X(i, j), tol_);
          a.expected(i, j) = h.expected;
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
      if (in.ok() && (!(h.unit > 0) || !std::is_sorted(h.edges.begin(), h.edges.end()) || !(h.edges.front() < h.edges.back()))) {
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
    h.inverse_width = std::min(static_cast<double>(n_bins) / (last - first), std::numeric_limits<double>::max());
    std::vector<int64_t> counts = FillBins(raw, h, bins);
    const auto n = static_cast<double>(raw.size());
    for (size_t k = 0; k < counts.size(); ++k) {
      const double width = (h.edges[k + 1] - h.edges[k]) / h.unit;
      const double density = counts[k] == 0 ? 0 : std::min(static_cast<double>(counts[k]) / width / n, 1e300);
      h.score[k] = -std::log2(density + alpha_);
    }
    h.expected = CommonValue(raw, h, bins);
    h.Derive();
  }

  /// Counts the bins, and notes for each row the bin that its value is looked up in. Values that lie clear of every edge,
  /// nearly all, need no comparison with the edges: rounding cannot have put them into another bin.
  static std::vector<int64_t> FillBins(std::span<const double> raw, const Histogram& h, std::vector<uint16_t>& bins) {
    constexpr size_t kBlock = 512;
    constexpr size_t kLanes = 4;  // separate counters, so that increments of one bin do not wait for each other
    const auto n_bins = static_cast<size_t>(h.bins());
    const double first = h.edges.front(), unit = h.unit, inverse = h.inverse_width, last_bin = static_cast<double>(n_bins - 1);
    constexpr double kEps = std::numeric_limits<double>::epsilon();
    const double margin = 1e-9 + 8 * kEps * std::max(std::fabs(first), std::fabs(h.edges.back())) * inverse;
    std::vector<int64_t> counts(kLanes * n_bins, 0);
    int32_t bin[kBlock];
    uint8_t near[kBlock];
    for (size_t begin = 0; begin < raw.size(); begin += kBlock) {
      const size_t count = std::min(kBlock, raw.size() - begin);
      const double* const x = raw.data() + begin;
      int any = 0;
      for (size_t i = 0; i < count; ++i) {
        const double position = (x[i] * unit - first) * inverse;
        const double bounded = position > last_bin ? last_bin : position;
        const auto k = static_cast<int32_t>(bounded);
        const double part = position - static_cast<double>(k);
        bin[i] = k;
        // The least value lies on the first edge, which is harmless.
        const int is_near = static_cast<int>((part < margin) & (position > 0.5)) | static_cast<int>(part > 1 - margin);
        near[i] = static_cast<uint8_t>(is_near);
        any |= is_near;
      }
      uint16_t* const lookup = bins.data() + begin;
      for (size_t i = 0; i < count; ++i) lookup[i] = static_cast<uint16_t>(bin[i]);
      if (any != 0) {
        for (size_t i = 0; i < count; ++i) {
          if (near[i] == 0) continue;
          const double value = x[i] * unit;
          const int64_t k = h.CountBin(value);
          bin[i] = static_cast<int32_t>(k);
          lookup[i] = static_cast<uint16_t>(h.LookupBin(value, k));
        }
      }
      for (size_t i = 0; i < count; ++i) ++counts[(i % kLanes) * n_bins + static_cast<size_t>(bin[i])];
    }
    for (size_t lane = 1; lane < kLanes; ++lane) {
      for (size_t k = 0; k < n_bins; ++k) counts[k] += counts[lane * n_bins + k];
    }
    counts.resize(n_bins);
    return counts;
  }

  /// Mean of the values in the bin that scores lowest among those that hold values.
  static double CommonValue(std::span<const double> raw, const Histogram& h, const std::vector<uint16_t>& bins) {
    const size_t n = raw.size();
    uint16_t common = bins[0];
    for (const uint16_t b : bins) common = h.score[b] < h.score[common] ? b : common;
    double sum = 0;
    int64_t count = 0;
    for (size_t i = 0; i < n; ++i) {
      sum += bins[i] == common ? raw[i] * h.unit : 0;
      count += bins[i] == common ? 1 : 0;
    }
    return sum / static_cast<double>(count) / h.unit;
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
    .summary = "How empty the histogram bin of each value is, columns taken as independent: the fastest, and good on wide data. "
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
