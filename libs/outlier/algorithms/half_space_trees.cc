// Streaming half-space trees (Tan, Ting, Liu 2011): trees that halve randomly chosen columns, built before any row is seen; how
// few of the reference rows share a row's cell, for the cell's size, is its score:
// the mean over the trees of -log2(2^depth mass), mass the share of the reference rows in the cell where fewer than a tenth of
// them are left, or at the bottom. Adding along the path, every halving's part belongs to the column that it halves.
//
// The fit's rows are the first reference; Update counts further rows, and every full window becomes the reference.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr double kStop = 0.1;        // cells with a smaller share are not halved further
constexpr double kLeastMass = 1e-6;  // of an empty cell

class HalfSpaceTrees final : public Detector {
 public:
  explicit HalfSpaceTrees(const ParamSet& params)
      : trees_(params.Int("n_estimators")), height_(params.Int("max_depth")), window_(params.Int("window_size")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(ctx.Check());
    RETURN_IF_ERROR(unit_.Fit(X, ctx));
    const auto d = static_cast<size_t>(X.cols);
    low_.assign(d, 0);
    span_.assign(d, 1);
    median_.assign(d, 0);
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.cols, 1, [&](int64_t column, int64_t) {
      const auto j = static_cast<size_t>(column);
      const Range range = RangeOf(X.col(column));
      const double found[3] = {range.low, range.high, ValueOfRank(X.col(column), static_cast<size_t>(X.rows / 2))};
      double read[3];
      unit_.Column({found, 3, 1, 3}, 0, 0, 3, read);
      low_[j] = read[0];
      span_[j] = read[1] > read[0] ? read[1] - read[0] : 1;
      median_[j] = read[2];
    }));
    RETURN_IF_ERROR(Grow(ctx, d));
    std::vector<double> counts(feature_.size() + Leaves(), 0);
    RETURN_IF_ERROR(Count(X, counts, ctx));
    mass_.clear();
    RETURN_IF_ERROR(SetMasses(counts, static_cast<double>(X.rows), ctx));
    latest_.assign(mass_.size(), 0);
    seen_ = 0;
    training_scores_.resize(static_cast<size_t>(X.rows));
    return Score(X, training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  absl::Status Update(MatrixView X, const Context& ctx) override {
    training_scores_.clear();
    std::vector<double> x(static_cast<size_t>(X.cols));
    for (int64_t i = 0; i < X.rows; ++i) {
      if (i % 256 == 0) RETURN_IF_ERROR(ctx.Check());
      unit_.Read(X, i, x.data());
      IntoRanges(x.data());
      for (int64_t t = 0; t < trees_; ++t) CountRow(x.data(), t, latest_);
      if (++seen_ < window_) continue;
      RETURN_IF_ERROR(SetMasses(latest_, static_cast<double>(window_), ctx));
      std::fill(latest_.begin(), latest_.end(), 0.0);
      seen_ = 0;
    }
    return absl::OkStatus();
  }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    return ParallelBlocks(ctx, X.rows, 256, [&](int64_t begin, int64_t end) {
      std::vector<double> x(static_cast<size_t>(X.cols));
      for (int64_t i = begin; i < end; ++i) {
        unit_.Read(X, i, x.data());
        IntoRanges(x.data());
        double sum = 0;
        for (int64_t t = 0; t < trees_; ++t) sum += Walk(x.data(), t, nullptr);
        scores[static_cast<size_t>(i)] = sum / static_cast<double>(trees_);
      }
    });
  }

  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    Attribution a{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "score"};
    a.scores.resize(static_cast<size_t>(X.rows));
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, 256, [&](int64_t begin, int64_t end) {
      std::vector<double> x(static_cast<size_t>(X.cols)), parts(x.size());
      for (int64_t i = begin; i < end; ++i) {
        unit_.Read(X, i, x.data());
        IntoRanges(x.data());
        std::fill(parts.begin(), parts.end(), 0.0);
        double sum = 0;
        for (int64_t t = 0; t < trees_; ++t) sum += Walk(x.data(), t, parts.data());
        a.scores[static_cast<size_t>(i)] = sum / static_cast<double>(trees_);
        for (int64_t j = 0; j < X.cols; ++j) {
          a.contributions(i, j) = parts[static_cast<size_t>(j)] / static_cast<double>(trees_);
          a.expected(i, j) = unit_.Unscaled(median_[static_cast<size_t>(j)]);
        }
      }
    }));
    return a;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    unit_.Save(out);
    for (const auto* v : {&low_, &span_, &median_, &cut_, &mass_, &latest_}) out.Doubles(*v);
    out.I32s(feature_);
    out.I64(seen_);
  }
  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    unit_.Load(in);
    training_scores_.clear();
    const int64_t inner = trees_ * ((int64_t{1} << height_) - 1), cells = inner + static_cast<int64_t>(Leaves());
    low_ = ReadDoubles(in, "the least values", unit_.features());
    span_ = ReadDoubles(in, "the ranges", unit_.features());
    median_ = ReadDoubles(in, "the medians", unit_.features());
    cut_ = ReadDoubles(in, "the cuts", inner);
    const std::vector<double> masses = ReadDoubles(in, "the masses", cells);
    latest_ = ReadDoubles(in, "the latest counts", cells);
    feature_ = in.I32s();
    seen_ = ReadInt(in, "the rows of the window", 0, window_);
    RETURN_IF_ERROR(in.status());
    if (static_cast<int64_t>(feature_.size()) != inner) in.Fail("the number of halvings is wrong");
    for (const int32_t f : feature_) {
      if (f < 0 || f >= unit_.features()) in.Fail("a halved column is not there");
    }
    for (const double s : span_) {
      if (!(s > 0)) in.Fail("a range is not positive");
    }
    mass_.clear();
    if (in.ok()) RETURN_IF_ERROR(SetMasses(masses, 1, Context{}));
    return in.status();
  }
  int64_t features() const override { return unit_.features(); }

 private:
  size_t Leaves() const { return static_cast<size_t>(trees_ << height_); }
  size_t InnerPerTree() const { return (size_t{1} << height_) - 1; }

  /// Cells are numbered as a heap within a tree; masses of inner cells of all trees come first, then those of the bottoms.
  size_t Cell(int64_t tree, size_t node) const {
    const size_t inner = InnerPerTree();
    return node < inner ? static_cast<size_t>(tree) * inner + node
                        : static_cast<size_t>(trees_) * inner + (static_cast<size_t>(tree) << height_) + (node - inner);
  }

  absl::Status Grow(const Context& ctx, size_t d) {
    const size_t inner = InnerPerTree();
    feature_.assign(static_cast<size_t>(trees_) * inner, 0);
    cut_.assign(feature_.size(), 0);
    return ParallelBlocks(ctx, trees_, 1, [&](int64_t t, int64_t) {
      Rng rng(ctx.seed, static_cast<uint64_t>(t));
      // The work range of a column reaches beyond its values, further on one side (section 3.1 of the paper).
      std::vector<std::vector<double>> low(inner + 1, std::vector<double>()), high = low;
      low[0].resize(d);
      high[0].resize(d);
      for (size_t j = 0; j < d; ++j) {
        const double s = rng.Uniform(), half = 2 * std::max(s, 1 - s);
        low[0][j] = s - half;
        high[0][j] = s + half;
      }
      for (size_t node = 0; node < inner; ++node) {
        const auto j = static_cast<size_t>(rng.Below(d));
        const double middle = (low[node][j] + high[node][j]) / 2;
        feature_[static_cast<size_t>(t) * inner + node] = static_cast<int32_t>(j);
        cut_[static_cast<size_t>(t) * inner + node] = middle;
        for (const size_t child : {2 * node + 1, 2 * node + 2}) {
          if (child >= inner) continue;
          low[child] = low[node];
          high[child] = high[node];
          (child == 2 * node + 1 ? high[child] : low[child])[j] = middle;
        }
        low[node].clear();
        high[node].clear();
      }
    });
  }

  /// Where in the columns' ranges the values lie.
  void IntoRanges(double* x) const {
    for (size_t j = 0; j < low_.size(); ++j) x[j] = (x[j] - low_[j]) / span_[j];
  }
  size_t Child(const double* x, int64_t tree, size_t node) const {
    const size_t at = static_cast<size_t>(tree) * InnerPerTree() + node;
    const auto j = static_cast<size_t>(feature_[at]);
    return 2 * node + (x[j] < cut_[at] ? 1 : 2);
  }
  void CountRow(const double* x, int64_t tree, std::vector<double>& counts) const {
    size_t node = 0;
    counts[Cell(tree, 0)] += 1;
    for (int64_t depth = 0; depth < height_; ++depth) {
      node = Child(x, tree, node);
      counts[Cell(tree, node)] += 1;
    }
  }
  absl::Status Count(MatrixView X, std::vector<double>& counts, const Context& ctx) const {
    constexpr int64_t kRows = 4096;  // row by row, and then tree by tree: a tree counts into its own cells only
    const auto d = static_cast<size_t>(X.cols);
    for (int64_t from = 0; from < X.rows; from += kRows) {
      const MatrixView some = X.Rows(from, std::min(kRows, X.rows - from));
      ASSIGN_OR_RETURN(std::vector<double> rows, unit_.ReadAll(some, ctx));
      RETURN_IF_ERROR(ParallelBlocks(ctx, some.rows, RowsPerLook(4 * X.cols), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) IntoRanges(rows.data() + static_cast<size_t>(i) * d);
      }));
      RETURN_IF_ERROR(ParallelBlocks(ctx, trees_, 1, [&](int64_t tree, int64_t) {
        for (size_t i = 0; i < static_cast<size_t>(some.rows); ++i) CountRow(rows.data() + i * d, tree, counts);
      }));
    }
    return absl::OkStatus();
  }

  double Mass(size_t cell) const { return std::max(mass_[cell], kLeastMass); }
  /// The masses, and what every step of a walk adds: where they are other than before, since a window has few rows for
  /// all the cells.
  absl::Status SetMasses(std::span<const double> counts, double rows, const Context& ctx) {
    const bool first = mass_.empty();
    mass_.resize(counts.size());
    step_.resize(counts.size());
    std::vector<char> changed(counts.size());
    RETURN_IF_ERROR(Blocks(ctx, std::ssize(counts), RowsPerLook(4), [&](int64_t begin, int64_t end) {
      for (auto c = static_cast<size_t>(begin); c < static_cast<size_t>(end); ++c) {
        const double mass = counts[c] / rows;
        changed[c] = first || mass != mass_[c] ? 1 : 0;
        mass_[c] = mass;
      }
    }));
    return ParallelBlocks(ctx, trees_, 1, [&](int64_t tree, int64_t) {
      for (size_t node = 1; node < 2 * InnerPerTree() + 1; ++node) {
        const size_t cell = Cell(tree, node), above = Cell(tree, (node - 1) / 2);
        if (changed[cell] | changed[above]) step_[cell] = -std::log2(2 * Mass(cell) / Mass(above));
      }
    });
  }
  /// -log2(2^depth mass) where the walk of a row, in its columns' ranges, ends; `parts` gets each halving's part, added
  /// to its column.
  double Walk(const double* x, int64_t tree, double* parts) const {
    size_t node = 0;
    double score = 0;
    for (int64_t depth = 0; depth < height_; ++depth) {
      if (Mass(Cell(tree, node)) < kStop && depth > 0) break;
      const auto j = static_cast<size_t>(feature_[static_cast<size_t>(tree) * InnerPerTree() + node]);
      node = Child(x, tree, node);
      const double part = step_[Cell(tree, node)];
      score += part;
      if (parts != nullptr) parts[j] += part;
    }
    return score;
  }

  int64_t trees_, height_, window_, seen_ = 0;
  RowUnit unit_;
  std::vector<double> low_, span_, median_, cut_, mass_, latest_;
  std::vector<double> step_;  ///< derived
  std::vector<int32_t> feature_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_estimators", .type = ParamType::kInt, .default_value = "50", .min = 1, .max = 1000, .summary = "Number of trees; more make the score steadier."},
    {.name = "max_depth", .type = ParamType::kInt, .default_value = "8", .min = 1, .max = 15, .summary = "Halvings from top to bottom: a tree has 2^depth cells there."},
    {.name = "window_size",
     .type = ParamType::kInt,
     .default_value = "128",
     .min = 2,
     .max = 1000000,
     .summary = "Rows of Update that make up a window; each full window becomes what rows are compared with."},
};

}  // namespace

extern const Descriptor k_half_space_trees;
const Descriptor k_half_space_trees = {
    .name = "half_space_trees",
    .family = "ensemble",
    .summary = "How empty a row's cells are in randomly halved space, for streams: constant memory, follows slow change window by "
               "window. Coarse: anomalies near normal rows share their cells.",
    .paper = "S. C. Tan, K. M. Ting, T. F. Liu, Fast anomaly detection for streaming data, IJCAI, 2011",
    .params = kParams,
    .deterministic = false,
    .incremental = true,
    .fit_cost = "O(n t h), t trees of height h",
    .score_cost = "O(t h)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double trees = static_cast<double>(p.Int("n_estimators")), depth = static_cast<double>(p.Int("max_depth"));
      const double cells = trees * std::exp2(depth + 1), row = kRowFloor + 4e-9 * trees * depth + 1e-9 * static_cast<double>(d);
      return {.fit_seconds = kFitFloor + 2e-8 * cells * static_cast<double>(d) / 8 + 2 * static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 48 * cells + 16 * static_cast<double>(n * d),
              .model_bytes = kBytesFloor + 30 * cells + 24 * static_cast<double>(d)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<HalfSpaceTrees>(params); },
};

}  // namespace vedette::outlier
