// Extended isolation forest (Hariri, Kind, Brunner 2019): isolation by randomly slanted cuts, so that the score has no ghost
// regions along the axes. A cut has a normal vector with `extension_level` + 1 random columns and goes through a random point
// of the node's box. Score 2^(-E[h] / c(psi)), as in the isolation forest.
#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "outlier/cost.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kMostNodes = int64_t{1} << 28;

/// Mean depth of an unsuccessful search in a binary tree of n rows.
double MeanDepth(double n) {
  if (n <= 1) return 0;
  if (n <= 2) return 1;
  return 2 * (std::log(n - 1) + 0.57721566490153286) - 2 * (n - 1) / n;
}

class ExtendedForest final : public RowDetector {
 public:
  explicit ExtendedForest(const ParamSet& params)
      : trees_(params.Int("n_estimators")), samples_(params.Int("max_samples")), level_(params.Int("extension_level")) {}

 private:
  struct Tree {
    std::vector<int32_t> child;   ///< of each node: its left child (the right one follows), or -1 at a leaf
    std::vector<double> offset;   ///< cuts: normal . point; leaves: the depth
    std::vector<double> normal;   ///< d per cut, in the order of the cuts
    std::vector<int32_t> cut;     ///< of each node: the number of its cut
  };

  absl::Status Learn(std::span<const double> rows, int64_t n, const Context& ctx) override {
    psi_ = std::min(samples_, n);
    forest_.assign(static_cast<size_t>(trees_), {});
    return ParallelBlocks(ctx, trees_, 1, [&](int64_t t, int64_t) {
      Rng rng(ctx.seed, static_cast<uint64_t>(t));
      std::vector<int64_t> sample = rng.Sample(n, psi_);
      const auto limit = static_cast<int64_t>(std::ceil(std::log2(std::max<double>(2, static_cast<double>(psi_)))));
      Grow(forest_[static_cast<size_t>(t)], rows, sample, limit, rng);
    });
  }

  struct Task {
    int32_t node;
    size_t begin, end;
    int64_t depth;
  };
  void Grow(Tree& tree, std::span<const double> rows, std::vector<int64_t>& sample, int64_t limit, Rng& rng) const {
    const auto add = [&tree] {
      tree.child.push_back(-1);
      tree.offset.push_back(0);
      tree.cut.push_back(-1);
      return static_cast<int32_t>(tree.child.size()) - 1;
    };
    std::vector<Task> open = {{add(), 0, sample.size(), 0}};
    std::vector<double> normal(d());
    while (!open.empty()) {
      const Task task = open.back();
      open.pop_back();
      const auto node = static_cast<size_t>(task.node);
      const size_t count = task.end - task.begin;
      tree.offset[node] = static_cast<double>(task.depth) + MeanDepth(static_cast<double>(count));
      if (count <= 1 || task.depth >= limit) continue;
      const double offset = Cut(rows, sample, task, rng, normal);
      const auto middle = std::partition(sample.begin() + static_cast<int64_t>(task.begin), sample.begin() + static_cast<int64_t>(task.end),
                                         [&](int64_t row) { return Dot(normal.data(), rows.data() + static_cast<size_t>(row) * d()) <= offset; });
      const auto at = static_cast<size_t>(middle - sample.begin());
      if (at == task.begin && at == task.end) continue;
      tree.cut[node] = static_cast<int32_t>(tree.normal.size() / d());
      tree.normal.insert(tree.normal.end(), normal.begin(), normal.end());
      tree.offset[node] = offset;
      const int32_t left = add();
      add();
      tree.child[node] = left;
      open.push_back({left, task.begin, at, task.depth + 1});
      open.push_back({left + 1, at, task.end, task.depth + 1});
    }
  }

  /// A random slanted cut of the rows' box: fills `normal`, returns normal . point.
  double Cut(std::span<const double> rows, const std::vector<int64_t>& sample, const Task& task, Rng& rng, std::vector<double>& normal) const {
    const int64_t used = level_ < 0 ? features() : std::min(features(), level_ + 1);
    std::fill(normal.begin(), normal.end(), 0.0);
    double offset = 0;
    std::vector<int64_t> columns = rng.Sample(features(), used);
    std::sort(columns.begin(), columns.end());
    for (const int64_t column : columns) {
      const auto j = static_cast<size_t>(column);
      double low = rows[static_cast<size_t>(sample[task.begin]) * d() + j], high = low;
      for (size_t i = task.begin; i < task.end; ++i) {
        const double v = rows[static_cast<size_t>(sample[i]) * d() + j];
        low = std::min(low, v);
        high = std::max(high, v);
      }
      normal[j] = rng.Normal();
      offset += normal[j] * rng.Uniform(low, high);
    }
    return offset;
  }
  double Dot(const double* a, const double* x) const {
    F64x4 sums = F64x4::Zero();
    size_t j = 0;
    for (; j + 4 <= d(); j += 4) sums = Fma(F64x4::LoadAny(a + j), F64x4::LoadAny(x + j), sums);
    double sum = Sum(sums);
    for (; j < d(); ++j) sum = std::fma(a[j], x[j], sum);
    return sum;
  }

  /// Walks that go side by side, so that none waits for its own next cut alone.
  struct Walk {
    const Tree* tree;
    const double* x;
    size_t node = 0;
  };
  void Finish(std::span<Walk> walks) const {
    for (bool open = true; open;) {
      open = false;
      for (Walk& walk : walks) {
        const Tree& tree = *walk.tree;
        const int32_t child = tree.child[walk.node];
        if (child < 0) continue;
        const double side = Dot(Normal(tree, walk.node), walk.x);
        walk.node = static_cast<size_t>(child + (side <= tree.offset[walk.node] ? 0 : 1));
        if (tree.child[walk.node] >= 0) {
          const double* const next = Normal(tree, walk.node);
          for (size_t j = 0; j < std::min<size_t>(d(), 256); j += 8) __builtin_prefetch(next + j);
        }
        open = true;
      }
    }
  }
  const double* Normal(const Tree& tree, size_t node) const {
    return tree.normal.data() + static_cast<size_t>(tree.cut[node]) * d();
  }

  /// Depths in all trees of `count` rows, added tree by tree, which then stays in cache, and for each row in the order
  /// of the trees.
  void AddDepths(const double* rows, size_t count, double* depths) const {
    constexpr size_t kTogether = 8;
    Walk walks[kTogether];
    const size_t all = forest_.size() * count;
    for (size_t at = 0; at < all; at += kTogether) {
      const size_t some = std::min(kTogether, all - at);
      for (size_t k = 0; k < some; ++k) walks[k] = {&forest_[(at + k) / count], rows + (at + k) % count * d()};
      Finish(std::span(walks, some));
      for (size_t k = 0; k < some; ++k) depths[(at + k) % count] += walks[k].tree->offset[walks[k].node];
    }
  }
  double ScoreOf(double depth) const {
    const double scale = MeanDepth(static_cast<double>(psi_));
    return scale > 0 ? std::exp2(-depth / static_cast<double>(trees_) / scale) : 0.5;
  }

  double ScoreRow(std::span<const double> x) const override {
    double depth = 0;
    AddDepths(x.data(), 1, &depth);
    return ScoreOf(depth);
  }
  void ScoreRows(MatrixView X, int64_t begin, int64_t end, double* scores) const override {
    const auto count = static_cast<size_t>(end - begin);
    std::vector<double> rows(count * d());
    for (size_t i = 0; i < count; ++i) unit().Read(X, begin + static_cast<int64_t>(i), rows.data() + i * d());
    std::fill_n(scores, count, 0.0);
    AddDepths(rows.data(), count, scores);
    for (size_t i = 0; i < count; ++i) scores[i] = ScoreOf(scores[i]);
  }
  int64_t BlockRows() const override {
    return std::clamp<int64_t>(8'000'000 / (trees_ * 16 * (features() + 8)), 1, 128);
  }

  void SaveState(ByteWriter& out) const override {
    out.I64(psi_);
    for (const Tree& tree : forest_) {
      out.I32s(tree.child);
      out.I32s(tree.cut);
      out.Doubles(tree.offset);
      out.Doubles(tree.normal);
    }
  }
  void LoadState(ByteReader& in) override {
    psi_ = ReadInt(in, "the sample size", 1, kMostNodes);
    forest_.assign(in.ok() ? static_cast<size_t>(trees_) : 0, {});
    for (Tree& tree : forest_) {
      tree.child = in.I32s();
      tree.cut = in.I32s();
      if (!in.ok()) return;
      const auto nodes = static_cast<int64_t>(tree.child.size());
      tree.offset = ReadDoubles(in, "a tree's cuts", nodes);
      tree.normal = in.Doubles();
      if (!in.ok()) return;
      if (nodes == 0 || tree.cut.size() != tree.child.size() || tree.normal.size() % d() != 0) return in.Fail("a tree is incomplete");
      const auto cuts = static_cast<int32_t>(tree.normal.size() / d());
      for (int64_t node = 0; node < nodes; ++node) {
        const int32_t child = tree.child[static_cast<size_t>(node)], cut = tree.cut[static_cast<size_t>(node)];
        // Children come after their parents, so that every walk ends.
        if (child >= 0 && (child <= node || child + 1 >= nodes || cut < 0 || cut >= cuts)) return in.Fail("a tree's node points nowhere");
        if (child < 0 && !(tree.offset[static_cast<size_t>(node)] >= 0 && tree.offset[static_cast<size_t>(node)] < 1e6)) {
          return in.Fail("a leaf's depth is out of range");
        }
      }
      for (const double w : tree.normal) {
        if (!(std::fabs(w) < 100)) return in.Fail("a cut's direction is out of range");
      }
    }
  }

  int64_t trees_, samples_, level_, psi_ = 1;
  std::vector<Tree> forest_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_estimators", .type = ParamType::kInt, .default_value = "200", .min = 1, .max = 10000, .summary = "Number of trees; more make the score steadier."},
    {.name = "max_samples", .type = ParamType::kInt, .default_value = "256", .min = 2, .max = 100000, .summary = "Random rows that each tree is grown on."},
    {.name = "extension_level",
     .type = ParamType::kInt,
     .default_value = "full",
     .min = -1,
     .max = 100000,
     .choices = "full=-1",
     .summary = "Columns that a cut slants over, less one: 0 is the plain isolation forest, full is all."},
};

}  // namespace

extern const Descriptor k_extended_iforest;
const Descriptor k_extended_iforest = {
    .name = "extended_iforest",
    .family = "ensemble",
    .summary = "Rows that few randomly slanted cuts isolate: as the isolation forest, without its blind bands along the axes; the best "
               "of many on global anomalies. Needs comparable scales.",
    .paper = "S. Hariri, M. C. Kind, R. J. Brunner, Extended isolation forest, IEEE TKDE, 2019",
    .params = kParams,
    .deterministic = false,
    .explains = false,
    .wants_scaling = true,
    .fit_cost = "O(t psi log psi d + n t log psi d)",
    .score_cost = "O(t log psi d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double trees = static_cast<double>(p.Int("n_estimators")), psi = static_cast<double>(std::min(n, p.Int("max_samples")));
      const double depth = std::log2(psi + 2), side = static_cast<double>(d), row = kRowFloor + trees * depth * (2e-9 + 4e-10 * side);
      return {.fit_seconds = kFitFloor + trees * psi * depth * (1e-8 + 2e-9 * side) + static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 8 * trees * psi * (side + 5) + 8 * static_cast<double>(n) * side,
              .model_bytes = kBytesFloor + 8 * trees * psi * (side + 5)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<ExtendedForest>(params); },
};

}  // namespace vedette::outlier
