// LODA (Pevny 2016): sparse random projections, a histogram of each; the score is the mean of minus the log of the
// probability of the bins that a row falls in. A value beyond a histogram's range falls in an empty bin.
//
// PyOD 3.6.5 looks values up one bin too far (its search skips the first edge's bin); `lookup=pyod` does the same for
// comparison, the default does not.
#include <absl/container/fixed_array.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/kernels/histogram_cuts.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr double kEmpty = 1e-12;  // added to every count

class Loda final : public TileDetector {
 public:
  explicit Loda(const ParamSet& params)
      : bins_(params.Int("n_bins")), cuts_(params.Int("n_random_cuts")), as_pyod_(params.Choice("lookup") == "pyod") {
    if (bins_ <= HistogramCuts::kMostBins) kernel_ = HistogramKernelAvx512();
  }

 private:
  absl::Status LearnFrom(MatrixView X, const Context& ctx) override {
    const auto bins = static_cast<size_t>(bins_), cuts = static_cast<size_t>(cuts_);
    projection_.assign(cuts * d(), 0);
    used_.assign(cuts, {});
    low_.assign(cuts, 0);
    width_.assign(cuts, 0);
    log_.assign(cuts * bins, 0);
    center_.assign(d(), 0);
    const int64_t kept = std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(d()))));
    for (size_t c = 0; c < cuts; ++c) {
      Rng rng(ctx.seed, c);
      double* const w = projection_.data() + c * d();
      for (const int64_t j : rng.Sample(features(), kept)) w[j] = rng.Normal();
      ListColumns(c);
    }
    RETURN_IF_ERROR(FindRanges(X, ctx));
    RETURN_IF_ERROR(CountBins(X, ctx));
    Derive();
    return ParallelBlocks(ctx, features(), 1, [&](int64_t j, int64_t) {
      const double middle = ValueOfRank(X.col(j), static_cast<size_t>(X.rows / 2));
      unit().Column({&middle, 1, 1, 1}, 0, 0, 1, center_.data() + j);
    });
  }

  /// f(part, c, values, count): what cut c projects a block of rows to. All cuts of a block while it is in cache; the
  /// parts, at most `most_parts`, depend on the shape alone.
  template <typename F>
  absl::Status ForProjections(MatrixView X, int64_t most_parts, const Context& ctx, const F& f) const {
    const int64_t grain = Grain(X.rows, most_parts);
    return ParallelBlocks(ctx, X.rows, grain, [&](int64_t begin, int64_t end) {
      constexpr int64_t kMostRows = 256;
      const int64_t rows = std::clamp<int64_t>((1 << 15) / X.cols / 16 * 16, 16, kMostRows);
      std::vector<double> block(static_cast<size_t>(rows * X.cols));
      double values[kMostRows];
      for (int64_t at = begin; at < end && ctx.Check().ok(); at += rows) {
        const int64_t count = std::min(rows, end - at);
        for (int64_t j = 0; j < X.cols; ++j) unit().Column(X, j, at, count, block.data() + j * rows);
        for (size_t c = 0; c < used_.size(); ++c) {
          std::fill(values, values + count, 0.0);
          for (const auto& [j, w] : used_[c]) {
            const double* const x = block.data() + j * static_cast<size_t>(rows);
            for (int64_t i = 0; i < count; ++i) values[i] = std::fma(x[i], w, values[i]);
          }
          f(static_cast<size_t>(begin / grain), c, values, static_cast<size_t>(count));
        }
      }
    });
  }
  /// Rows of a part.
  static int64_t Grain(int64_t rows, int64_t most_parts) {
    return std::max<int64_t>(4096, (rows + most_parts - 1) / most_parts);
  }
  static size_t Parts(int64_t rows, int64_t most_parts) {
    return static_cast<size_t>((rows - 1) / Grain(rows, most_parts) + 1);
  }

  absl::Status FindRanges(MatrixView X, const Context& ctx) {
    constexpr int64_t kParts = 64;
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    std::vector<std::vector<Range>> ranges(Parts(X.rows, kParts),
                                           std::vector<Range>(used_.size(), {kInfinity, -kInfinity}));
    RETURN_IF_ERROR(ForProjections(X, kParts, ctx, [&](size_t part, size_t c, const double* values, size_t count) {
      const Range block = RangeOf({values, count});
      Range& range = ranges[part][c];
      range = {std::min(range.low, block.low), std::max(range.high, block.high)};
    }));
    RETURN_IF_ERROR(ctx.Check());
    for (size_t c = 0; c < used_.size(); ++c) {
      Range range = ranges[0][c];
      for (const std::vector<Range>& part : ranges)
        range = {std::min(range.low, part[c].low), std::max(range.high, part[c].high)};
      // As numpy's histogram: a range of no width is widened by one half to both sides.
      const bool flat = range.low == range.high;
      low_[c] = flat ? range.low - 0.5 : range.low;
      width_[c] = ((flat ? range.high + 0.5 : range.high) - low_[c]) / static_cast<double>(bins_);
    }
    return absl::OkStatus();
  }

  absl::Status CountBins(MatrixView X, const Context& ctx) {
    constexpr size_t kLanes = 2;  // separate counters: increments of one bin do not wait for each other
    const auto bins = static_cast<size_t>(bins_), table = used_.size() * bins * kLanes;
    const int64_t most_parts = std::clamp<int64_t>((int64_t{1} << 22) / static_cast<int64_t>(table), 1, 64);
    std::vector<std::vector<int64_t>> counts(Parts(X.rows, most_parts), std::vector<int64_t>(table, 0));
    const double last = static_cast<double>(bins_ - 1);
    RETURN_IF_ERROR(ForProjections(X, most_parts, ctx, [&](size_t part, size_t c, const double* values, size_t count) {
      int64_t* const own = counts[part].data() + c * bins * kLanes;
      const double low = low_[c], divisor = Divisor(c);
      if (kernel_.count != nullptr) return kernel_.count(values, count, low, divisor, bins_, own);
      int32_t bin[256];
      for (size_t i = 0; i < count; ++i) {
        const double at = (values[i] - low) / divisor;
        bin[i] = static_cast<int32_t>(at < last ? at : last);  // not negative
      }
      for (size_t i = 0; i < count; ++i) ++own[i % kLanes * bins + static_cast<size_t>(bin[i])];
    }));
    RETURN_IF_ERROR(ctx.Check());
    const double sum = static_cast<double>(X.rows) + kEmpty * static_cast<double>(bins_);
    for (size_t c = 0; c < used_.size(); ++c) {
      for (size_t b = 0; b < bins; ++b) {
        int64_t count = 0;
        for (const std::vector<int64_t>& part : counts) {
          for (size_t lane = 0; lane < kLanes; ++lane) count += part[(c * kLanes + lane) * bins + b];
        }
        log_[c * bins + b] = std::log((static_cast<double>(count) + kEmpty) / sum);
      }
    }
    return absl::OkStatus();
  }

  /// A range that is too narrow for its bins has one.
  double Divisor(size_t c) const { return width_[c] > 0 ? width_[c] : std::numeric_limits<double>::infinity(); }
  /// The few columns that a projection uses.
  void ListColumns(size_t c) {
    used_[c].clear();
    for (size_t j = 0; j < d(); ++j) {
      if (projection_[c * d() + j] != 0) used_[c].emplace_back(j, projection_[c * d() + j]);
    }
  }
  /// The table that scores are looked up in: minus the logarithms, and behind each cut's bins what lies beyond its
  /// range.
  void Derive() {
    const auto bins = static_cast<size_t>(bins_);
    rarity_.clear();
    begin_ = {0};
    column_.clear();
    weight_.clear();
    divisor_.clear();
    held_.assign(d(), 0);
    for (size_t c = 0; c < low_.size(); ++c) {
      for (const auto& [j, w] : used_[c]) {
        column_.push_back(static_cast<int32_t>(j));
        weight_.push_back(w);
        held_[j] += 1;
      }
      begin_.push_back(static_cast<int32_t>(column_.size()));
      divisor_.push_back(Divisor(c));
      for (size_t b = 0; b < bins; ++b) rarity_.push_back(-log_[c * bins + b]);
      rarity_.push_back(-std::log(kEmpty));
    }
  }

  /// rarity[r] = minus the log of the probability of the bin of row r in cut c.
  template <int kVectors>
  void Rarities(const double* tile, size_t c, double* rarity) const {
    constexpr int kLanes = 4 * kVectors;
    F64x4 sum[kVectors];
    for (F64x4& s : sum) s = F64x4::Zero();
    for (const auto& [j, w] : used_[c]) {
      const F64x4 weight = F64x4::Set(w);
      for (int v = 0; v < kVectors; ++v)
        sum[v] = Fma(F64x4::LoadAny(tile + j * kLanes + static_cast<size_t>(4 * v)), weight, sum[v]);
    }
    const double bins = static_cast<double>(bins_), width = width_[c];
    const F64x4 low = F64x4::Set(low_[c]), divisor = F64x4::Set(Divisor(c)), last = F64x4::Set(bins - 1),
                beyond = F64x4::Set(bins);
    const F64x4 least = F64x4::Set(-1e-9 * width), most = F64x4::Set(width * (bins + 1e-9));
    double bin[kLanes];
    for (int v = 0; v < kVectors; ++v) {
      const F64x4 offset = sum[v] - low, at = offset / divisor;
      F64x4 index = Max(Min(at, last), F64x4::Zero());
      if (as_pyod_) {  // the next bin, except where the value lies on an edge
        index = Max(Min(F64x4::Zero() - Floor(F64x4::Zero() - at), last), F64x4::Zero());
      } else {
        index = WhereNotAbove(least, offset, WhereNotAbove(offset, most, index, beyond), beyond);
      }
      index.Store(bin + 4 * v);
    }
    const double* const table = rarity_.data() + c * static_cast<size_t>(bins_ + 1);
    for (int r = 0; r < kLanes; ++r) rarity[r] = table[static_cast<int32_t>(bin[r])];
  }

  template <int kVectors>
  void Tile(const double* tile, double* scores) const {
    constexpr int kLanes = 4 * kVectors;
    double sum[kLanes] = {}, rarity[kLanes];
    for (size_t c = 0; c < low_.size(); ++c) {
      Rarities<kVectors>(tile, c, rarity);
      for (int r = 0; r < kLanes; ++r) sum[r] += rarity[r];
    }
    for (int r = 0; r < kLanes; ++r) scores[r] = sum[r] / static_cast<double>(cuts_);
  }
  HistogramCuts Cuts() const {
    return {.begin = begin_.data(),
            .column = column_.data(),
            .weight = weight_.data(),
            .low = low_.data(),
            .width = width_.data(),
            .divisor = divisor_.data(),
            .worth = rarity_.data(),
            .cuts = cuts_,
            .bins = bins_};
  }
  void ScoreTile(const RowTile& tile, double* scores) const override {
    if (tile.lanes != RowTile::kWide) return Tile<1>(tile.values, scores);
    if (kernel_.tile == nullptr || as_pyod_) return Tile<4>(tile.values, scores);
    kernel_.tile(Cuts(), tile.values, scores);
    for (int r = 0; r < RowTile::kWide; ++r) scores[r] /= static_cast<double>(cuts_);
  }

  /// How much rarer the row is where a feature is part of a projection than where it is not (Pevny 2016, section 3.3).
  bool ExplainTile(const RowTile& tile, const RowParts& out) const override {
    if (tile.lanes == RowTile::kWide)
      Parts<4>(tile.values, out);
    else
      Parts<1>(tile.values, out);
    return true;
  }
  template <int kVectors>
  void Parts(const double* tile, const RowParts& out) const {
    constexpr int kLanes = 4 * kVectors;
    absl::FixedArray<double, 512> with(d() * kLanes, 0.0);
    double all[kLanes] = {}, rarity[kLanes];
    const bool fast = kLanes == HistogramCuts::kRows && kernel_.parts != nullptr && !as_pyod_;
    if (fast) kernel_.parts(Cuts(), tile, all, with.data());
    for (size_t c = 0; c < low_.size() && !fast; ++c) {
      Rarities<kVectors>(tile, c, rarity);
      F64x4 more[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        more[v] = F64x4::LoadAny(rarity + 4 * v);
        (F64x4::LoadAny(all + 4 * v) + more[v]).Store(all + 4 * v);
      }
      for (int32_t e = begin_[c]; e < begin_[c + 1]; ++e) {
        double* const own = with.data() + column_[static_cast<size_t>(e)] * kLanes;
        for (int v = 0; v < kVectors; ++v) (F64x4::LoadAny(own + 4 * v) + more[v]).Store(own + 4 * v);
      }
    }
    for (int r = 0; r < kLanes; ++r) out.scores[r] = all[r] / static_cast<double>(cuts_);
    for (size_t j = 0; j < d(); ++j) {
      const double held = held_[j], others = static_cast<double>(cuts_) - held;
      double* const part = out.contributions + static_cast<int64_t>(j) * out.stride;
      for (int r = 0; r < kLanes; ++r) {
        const double own = with[j * kLanes + static_cast<size_t>(r)];
        part[r] = held == 0 ? 0 : own / held - (others > 0 ? (all[r] - own) / others : 0);
      }
    }
  }
  bool ExplainsWithScore() const override { return true; }
  std::span<const double> Usual() const override { return center_; }
  std::string_view space() const override { return "mean of -log probability, with the feature less without it"; }

  void SaveState(ByteWriter& out) const override {
    for (const auto* v : {&projection_, &low_, &width_, &log_, &center_}) out.Doubles(*v);
  }
  void LoadState(ByteReader& in) override {
    projection_ = ReadDoubles(in, "the projections", cuts_ * features());
    low_ = ReadDoubles(in, "the histograms' lower ends", cuts_);
    width_ = ReadDoubles(in, "the bins' widths", cuts_);
    log_ = ReadDoubles(in, "the bins' probabilities", cuts_ * bins_);
    center_ = ReadDoubles(in, "the centres", features());
    for (const double w : projection_) {
      if (std::fabs(w) > 100) return in.Fail("a projection is out of range");
    }
    if (!in.ok()) return;
    used_.assign(static_cast<size_t>(cuts_), {});
    for (size_t c = 0; c < used_.size(); ++c) ListColumns(c);
    for (const double l : log_) {
      if (!(l <= 0 && l > -1000)) return in.Fail("a probability is out of range");
    }
    Derive();
  }

  int64_t bins_, cuts_;
  bool as_pyod_;
  std::vector<std::vector<std::pair<size_t, double>>> used_;
  std::vector<double> projection_, low_, width_, log_, center_;
  std::vector<double> rarity_;  ///< derived: cuts x (bins + 1)
  HistogramKernel kernel_;
  std::vector<int32_t> begin_, column_;  ///< derived, for the kernel: used_ in one run
  std::vector<double> weight_, divisor_;
  std::vector<double> held_;  // per feature: the cuts that it is part of
};

constexpr ParamSpec kParams[] = {
    {.name = "n_bins",
     .type = ParamType::kInt,
     .default_value = "10",
     .min = 2,
     .max = 1000,
     .summary = "Bins of each histogram."},
    {.name = "n_random_cuts",
     .type = ParamType::kInt,
     .default_value = "100",
     .min = 1,
     .max = 10000,
     .summary = "Number of random projections; more make the score steadier."},
    {.name = "lookup",
     .type = ParamType::kChoice,
     .default_value = "right",
     .choices = "right|pyod",
     .summary = "pyod looks values up one bin too far, as PyOD 3.6.5 does: for comparison only."},
};

}  // namespace

extern const Descriptor k_loda;
const Descriptor k_loda = {
    .name = "loda",
    .family = "ensemble",
    .summary =
        "How rare a row is in the histograms of a hundred sparse random projections: very fast, any number of rows. "
        "Weak where "
        "columns differ much in scale, and on local anomalies.",
    .paper = "T. Pevny, Loda: Lightweight on-line detector of anomalies, Machine Learning, 2016",
    .params = kParams,
    .deterministic = false,
    .wants_scaling = true,
    .fit_cost = "O(n (d + k sqrt(d))), k the projections",
    .score_cost = "O(d + k sqrt(d))",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double k = static_cast<double>(p.Int("n_random_cuts")), kept = std::sqrt(static_cast<double>(d));
      Cost cost = PassCost(n, d, 10, 1, 8 * k * static_cast<double>(d + p.Int("n_bins")))
                      .PlusFit(1e-9 * static_cast<double>(n) * k * (4 + 1.2 * kept));
      cost.score_seconds_per_row += 1e-9 * k * (1.5 + 0.2 * kept);
      return cost;
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<Loda>(params); },
};

}  // namespace vedette::outlier
