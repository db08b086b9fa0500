// Robust random cut forest (Guha, Mishra, Roy, Schrijvers 2016), for streams: trees of random cuts, a column chosen by
// the extent of its values, kept on a reservoir of rows. The score is the expected share of a tree that a row would
// displace, by a walk down: at a node with bounding box B the row is cut off from the box with probability p = (how far
// it reaches beyond B) / (extent of B and the row), which counts 1 / (depth + 1), else it goes on; at its own copy, 1 /
// (depth + log2(1 + copies)). The parts of p are the columns' contributions, those from above the boxes and those from
// below them apart. Times log2(rows + 1), mean over the trees.
//
// A tree is built by inserting its rows one by one, which gives the same distribution as cutting all at once (theorem 3
// of the paper); Update inserts a row and forgets a random older one.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/cost.h"
#include "outlier/kernels/simd.h"
#include "outlier/parallel.h"
#include "outlier/row_detector.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kStateVersion = 1;
constexpr int32_t kNone = -1;

/// One tree. Slot s of the reservoir is leaf s; inner nodes are numbered from the capacity on. Boxes: the lows, then the
/// highs, both of Padded(d) values; what is beyond the d-th is 0.
class CutTree {
 public:
  CutTree() = default;
  CutTree(size_t d, size_t capacity)
      : d_(d),
        padded_(Padded(d)),
        capacity_(capacity),
        node_(2 * capacity),
        box_(2 * capacity * 2 * padded_) {
    for (size_t i = 2 * capacity; i-- > capacity;) free_.push_back(static_cast<int32_t>(i));
  }

  struct Node {
    int32_t parent = kNone, left = kNone, right = kNone;
    int32_t column = 0;
    int32_t count = 0;  ///< rows below; 0: not in use
    double cut = 0;     ///< left: x[column] <= cut
    double extent = 0;  ///< of the box, over all columns
  };

  static size_t Padded(size_t d) { return (d + 3) / 4 * 4; }
  size_t capacity() const { return capacity_; }
  int64_t rows() const { return root_ == kNone ? 0 : node_[static_cast<size_t>(root_)].count; }
  bool Holds(int32_t slot) const { return node_[static_cast<size_t>(slot)].count > 0; }

  void Insert(int32_t slot, const double* x, Rng& rng) {
    Node& leaf = At(slot);
    leaf = Node{.count = 1};
    std::copy(x, x + d_, Low(slot));
    std::copy(x, x + d_, High(slot));
    if (root_ == kNone) {
      root_ = slot;
      return;
    }
    int32_t node = root_;
    while (true) {
      int32_t column = 0;
      double cut = 0;
      if (Separates(node, x, rng, &column, &cut) || IsLeaf(node)) return Split(node, slot, x, column, cut);
      node = x[At(node).column] <= At(node).cut ? At(node).left : At(node).right;
    }
  }

  void Remove(int32_t slot) {
    Node& leaf = At(slot);
    leaf.count = 0;
    if (root_ == slot) {
      root_ = kNone;
      return;
    }
    const int32_t parent = leaf.parent, sibling = At(parent).left == slot ? At(parent).right : At(parent).left;
    const int32_t above = At(parent).parent;
    At(sibling).parent = above;
    if (above == kNone) root_ = sibling;
    else (At(above).left == parent ? At(above).left : At(above).right) = sibling;
    At(parent).count = 0;
    free_.push_back(parent);
    Refresh(above);
  }

  /// Nodes from the root to a leaf, or to a box that is a single point elsewhere, where the row is surely cut off: equal
  /// rows make a chain as long as they are many. They are found by the cuts alone, so that the boxes, which lie far apart in memory,
  /// can be on their way for several walks before any is looked at.
  struct Path {
    const CutTree* tree = nullptr;
    const double* x = nullptr;  ///< Padded(d) values, zeros beyond the d-th
    std::vector<int32_t> nodes = {};
  };
  static void FindPaths(std::span<Path> paths) {
    size_t open = 0;
    for (Path& path : paths) {
      path.nodes.clear();
      if (path.tree->root_ == kNone) continue;
      path.tree->Enter(path.tree->root_, &path.nodes);
      ++open;
    }
    while (open > 0) {
      open = 0;
      for (Path& path : paths) {
        if (path.nodes.empty() || path.tree->IsLeaf(path.nodes.back())) continue;
        const Node& at = path.tree->At(path.nodes.back());
        if (at.extent == 0 && path.tree->Beyond(path.nodes.back(), path.x) > 0) continue;
        // No branch: which way a row goes cannot be foretold.
        path.tree->Enter(at.right + (path.x[at.column] <= at.cut ? 1 : 0) * (at.left - at.right), &path.nodes);
        ++open;
      }
    }
  }

  /// The walk of the head comment; `parts` (twice Padded(d) values, or null) gets the columns' parts from above, then
  /// those from below, added, times `weight`.
  static double Displacement(const Path& path, double* parts, double weight) {
    const CutTree& tree = *path.tree;
    double score = 0, left = 1, depth = 0;
    for (const int32_t node : path.nodes) {
      const double beyond = tree.Beyond(node, path.x), here = 1 / (depth + 1);
      // Within the box of a leaf 0 of 0 is 0.
      const double all = std::max(beyond + tree.At(node).extent, std::numeric_limits<double>::min());
      const double p = beyond / all;
      score = std::fma(left * p, here, score);
      if (parts != nullptr && beyond > 0) tree.AddParts(node, path.x, beyond, weight * left * here * p, parts);
      left *= 1 - p;
      depth += 1;
    }
    return path.nodes.empty() ? 0 : score + left / depth;  // at its own copy (log2 of 2)
  }

  void Save(ByteWriter& out) const {
    out.I64(root_);
    out.I32s(free_);
    for (const Node& n : node_) {
      for (const int32_t v : {n.parent, n.left, n.right, n.column, n.count}) out.U32(static_cast<uint32_t>(v));
      out.F64(n.cut);
    }
    std::vector<double> box;
    for (size_t side = 0; side < 2 * node_.size(); ++side) {
      box.insert(box.end(), box_.data() + side * padded_, box_.data() + side * padded_ + d_);
    }
    out.Doubles(box);
  }
  void Load(ByteReader& in, size_t d, size_t capacity) {
    *this = CutTree(d, capacity);
    const auto nodes = static_cast<int64_t>(node_.size());
    root_ = static_cast<int32_t>(ReadInt(in, "a tree's root", -1, nodes - 1));
    free_ = in.I32s();
    for (Node& n : node_) {
      for (int32_t* v : {&n.parent, &n.left, &n.right, &n.column, &n.count}) *v = static_cast<int32_t>(in.U32());
      n.cut = ReadFinite(in, "a cut");
      if (!in.ok()) return;
      if (n.parent < -1 || n.parent >= nodes || n.left < -1 || n.left >= nodes || n.right < -1 || n.right >= nodes || n.column < 0 ||
          n.column >= static_cast<int64_t>(d) || n.count < 0 || n.count > static_cast<int64_t>(capacity)) {
        return in.Fail("a tree's node is out of range");
      }
    }
    const std::vector<double> box = ReadDoubles(in, "the boxes", nodes * 2 * static_cast<int64_t>(d));
    if (!in.ok()) return;
    for (size_t side = 0; side < 2 * node_.size(); ++side) {
      std::copy_n(box.data() + side * d, d, box_.data() + side * padded_);
    }
    Verify(in);
    for (int32_t i = 0; i < static_cast<int32_t>(nodes); ++i) At(i).extent = Extent(i);
  }

 private:
  Node& At(int32_t i) { return node_[static_cast<size_t>(i)]; }
  const Node& At(int32_t i) const { return node_[static_cast<size_t>(i)]; }
  double* Low(int32_t i) { return box_.data() + static_cast<size_t>(i) * 2 * padded_; }
  double* High(int32_t i) { return Low(i) + padded_; }
  const double* Low(int32_t i) const { return box_.data() + static_cast<size_t>(i) * 2 * padded_; }
  const double* High(int32_t i) const { return Low(i) + padded_; }
  bool IsLeaf(int32_t i) const { return static_cast<size_t>(i) < capacity_; }

  void Enter(int32_t node, std::vector<int32_t>* path) const {
    path->push_back(node);
    __builtin_prefetch(&At(node));
    const double* const box = Low(node);
    for (size_t j = 0; j < std::min<size_t>(2 * padded_, 256); j += 8) __builtin_prefetch(box + j);
  }

  /// How far x lies above, and below, the box, in four columns.
  static F64x4 Above(const double* x, const double* high) {
    return Max(F64x4::LoadAny(x) - F64x4::LoadAny(high), F64x4::Zero());
  }
  static F64x4 Below(const double* x, const double* low) {
    return Max(F64x4::LoadAny(low) - F64x4::LoadAny(x), F64x4::Zero());
  }
  double Beyond(int32_t node, const double* x) const {
    const double *low = Low(node), *high = High(node);
    F64x4 sum = F64x4::Zero();
    for (size_t j = 0; j < padded_; j += 4) sum = sum + (Above(x + j, high + j) + Below(x + j, low + j));
    return Sum(sum);
  }
  double Extent(int32_t node) const {
    const double *low = Low(node), *high = High(node);
    F64x4 sum = F64x4::Zero();
    for (size_t j = 0; j < padded_; j += 4) sum = sum + (F64x4::LoadAny(high + j) - F64x4::LoadAny(low + j));
    return Sum(sum);
  }
  /// `share` by how much each column is of what is beyond.
  void AddParts(int32_t node, const double* x, double beyond, double share, double* parts) const {
    const double *low = Low(node), *high = High(node);
    double* const below = parts + padded_;
    // A tiny divisor's inverse may be no double.
    const bool normal = beyond >= 1e-280;
    const F64x4 factor = F64x4::Set(normal ? share / beyond : share), divisor = F64x4::Set(normal ? 1 : beyond);
    for (size_t j = 0; j < padded_; j += 4) {
      F64x4 up = Above(x + j, high + j), down = Below(x + j, low + j);
      if (!normal) up = up / divisor, down = down / divisor;
      Fma(up, factor, F64x4::LoadAny(parts + j)).Store(parts + j);
      Fma(down, factor, F64x4::LoadAny(below + j)).Store(below + j);
    }
  }

  /// Draws a cut of the box of `node` and x; true when it lies between them.
  bool Separates(int32_t node, const double* x, Rng& rng, int32_t* column, double* cut) const {
    const double *low = Low(node), *high = High(node);
    double total = 0;
    for (size_t j = 0; j < d_; ++j) total += std::max(high[j], x[j]) - std::min(low[j], x[j]);
    double at = rng.Uniform() * total;
    for (size_t j = 0; j < d_; ++j) {
      const double least = std::min(low[j], x[j]), extent = std::max(high[j], x[j]) - least;
      if (at >= extent && j + 1 < d_) {
        at -= extent;
        continue;
      }
      *column = static_cast<int32_t>(j);
      *cut = least + std::min(at, extent);
      break;
    }
    const double v = x[*column];
    return (*cut < low[*column] && v <= *cut) || (*cut >= high[*column] && v > *cut);
  }

  /// A new inner node in the place of `node`, with it and the leaf `slot` below.
  void Split(int32_t node, int32_t slot, const double* x, int32_t column, double cut) {
    const int32_t inner = free_.back(), above = At(node).parent;
    free_.pop_back();
    // Equal rows cannot be told apart by a cut: they hang under an inner node whose cut sends all that is equal to the left.
    const bool left = x[column] <= cut && !(IsLeaf(node) && Low(node)[column] <= cut);
    At(inner) = Node{.parent = above, .left = left ? slot : node, .right = left ? node : slot, .column = column, .count = 0, .cut = cut};
    if (above == kNone) root_ = inner;
    else (At(above).left == node ? At(above).left : At(above).right) = inner;
    At(node).parent = At(slot).parent = inner;
    Refresh(inner);
  }

  /// Counts and boxes from `node` up to the root.
  void Refresh(int32_t node) {
    for (; node != kNone; node = At(node).parent) {
      Node& n = At(node);
      n.count = At(n.left).count + At(n.right).count;
      for (size_t j = 0; j < d_; ++j) {
        Low(node)[j] = std::min(Low(n.left)[j], Low(n.right)[j]);
        High(node)[j] = std::max(High(n.left)[j], High(n.right)[j]);
      }
      n.extent = Extent(node);
    }
  }

  /// Every node in use is reached once from the root, free ones are not in use: no walk can run in a circle.
  void Verify(ByteReader& in) const {
    size_t reached = 0, inner = 0;
    std::vector<int32_t> open;
    std::vector<char> seen(node_.size(), 0);
    if (root_ != kNone) open.push_back(root_);
    while (!open.empty()) {
      const int32_t i = open.back();
      open.pop_back();
      if (seen[static_cast<size_t>(i)]++ != 0 || At(i).count == 0) return in.Fail("a tree is no tree");
      ++reached;
      if (IsLeaf(i)) continue;
      ++inner;
      if (At(i).left == kNone || At(i).right == kNone || At(At(i).left).parent != i || At(At(i).right).parent != i) {
        return in.Fail("a tree's node has no child");
      }
      open.push_back(At(i).left);
      open.push_back(At(i).right);
    }
    if (root_ != kNone && At(root_).parent != kNone) return in.Fail("a tree's root has a parent");
    if (free_.size() + inner != capacity_) return in.Fail("a tree's free nodes are wrong");
    for (const int32_t i : free_) {
      if (i < static_cast<int64_t>(capacity_) || i >= static_cast<int64_t>(node_.size()) || seen[static_cast<size_t>(i)]++ != 0) {
        return in.Fail("a tree's free node is in use");
      }
    }
    for (size_t s = 0; s < capacity_; ++s) {
      if ((node_[s].count > 0) != (seen[s] != 0)) return in.Fail("a tree's leaf is not reached");
    }
    for (size_t i = 0; i < node_.size(); ++i) {
      for (size_t j = 0; j < d_; ++j) {
        const double low = Low(static_cast<int32_t>(i))[j], high = High(static_cast<int32_t>(i))[j];
        if (!(low <= high) || std::fabs(low) > RowUnit::kMaxValue || std::fabs(high) > RowUnit::kMaxValue) return in.Fail("a box is out of range");
      }
    }
    (void)reached;
  }

  size_t d_ = 0, padded_ = 0, capacity_ = 0;
  int32_t root_ = kNone;
  std::vector<Node> node_;
  std::vector<double> box_;
  std::vector<int32_t> free_;
};

class RandomCutForest final : public Detector {
 public:
  explicit RandomCutForest(const ParamSet& params) : trees_(params.Int("n_trees")), size_(params.Int("tree_size")) {}

  absl::Status Fit(MatrixView X, const Context& ctx) override {
    RETURN_IF_ERROR(ctx.Check());
    RETURN_IF_ERROR(unit_.Fit(X, ctx));
    seed_ = ctx.seed;
    const auto d = static_cast<size_t>(X.cols);
    forest_.assign(static_cast<size_t>(trees_), CutTree(d, static_cast<size_t>(size_)));
    median_.assign(d, 0);
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.cols, 1, [&](int64_t j, int64_t) {
      const double middle = ValueOfRank(X.col(j), static_cast<size_t>(X.rows / 2));
      unit_.Column({&middle, 1, 1, 1}, 0, 0, 1, &median_[static_cast<size_t>(j)]);
    }));
    RETURN_IF_ERROR(ParallelBlocks(ctx, trees_, 1, [&](int64_t t, int64_t) {
      Rng rng(seed_, static_cast<uint64_t>(t));
      int32_t slot = 0;
      std::vector<double> x(d);
      for (const int64_t row : rng.Sample(X.rows, size_)) {
        unit_.Read(X, row, x.data());
        forest_[static_cast<size_t>(t)].Insert(slot++, x.data(), rng);
      }
    }));
    seen_ = X.rows;
    training_scores_.resize(static_cast<size_t>(X.rows));
    return Score(X, training_scores_, ctx);
  }
  std::span<const double> training_scores() const override { return training_scores_; }

  /// A further row replaces a random one of each tree with probability size / (rows that the reservoir stands for, at most
  /// 10 sizes): older rows fade.
  absl::Status Update(MatrixView X, const Context& ctx) override {
    training_scores_.clear();
    std::vector<double> x(static_cast<size_t>(X.cols));
    for (int64_t i = 0; i < X.rows; ++i) {
      if (i % 64 == 0) RETURN_IF_ERROR(ctx.Check());
      unit_.Read(X, i, x.data());
      ++seen_;
      const auto stands_for = static_cast<double>(std::min(seen_, 10 * size_));
      for (int64_t t = 0; t < trees_; ++t) {
        CutTree& tree = forest_[static_cast<size_t>(t)];
        Rng rng(seed_ ^ 0x5bd1e995, static_cast<uint64_t>(seen_ * trees_ + t));
        if (tree.rows() >= size_ && rng.Uniform() >= static_cast<double>(size_) / stands_for) continue;
        auto slot = static_cast<int32_t>(rng.Below(static_cast<uint64_t>(size_)));
        if (tree.rows() < size_) {
          for (slot = 0; tree.Holds(slot);) ++slot;
        } else {
          tree.Remove(slot);
        }
        tree.Insert(slot, x.data(), rng);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Score(MatrixView X, std::span<double> scores, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    return ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      std::vector<double> sums(static_cast<size_t>(end - begin), 0);
      ForPaths(X, begin, end, [&](size_t row, const CutTree::Path& path) {
        sums[row] = std::fma(Scale(*path.tree), CutTree::Displacement(path, nullptr, 0), sums[row]);
      });
      for (size_t r = 0; r < sums.size(); ++r)
        scores[static_cast<size_t>(begin) + r] = sums[r] / static_cast<double>(trees_);
    });
  }
  absl::StatusOr<Attribution> Explain(MatrixView X, const Context& ctx) const override {
    RETURN_IF_ERROR(ctx.Check());
    Attribution a{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = Matrix::ForOverwrite(1, X.cols),
                  .space = "expected displacement beyond that of a row seen before",
                  .high = Matrix::ForOverwrite(X.rows, X.cols),
                  .low = Matrix::ForOverwrite(X.rows, X.cols)};
    a.scores.resize(static_cast<size_t>(X.rows));
    for (int64_t j = 0; j < X.cols; ++j) a.expected(0, j) = unit_.Unscaled(median_[static_cast<size_t>(j)]);
    RETURN_IF_ERROR(ParallelBlocks(ctx, X.rows, kBlockRows, [&](int64_t begin, int64_t end) {
      const auto rows = static_cast<size_t>(end - begin), padded = CutTree::Padded(static_cast<size_t>(X.cols));
      std::vector<double> parts(rows * 2 * padded, 0), sums(rows, 0);
      ForPaths(X, begin, end, [&](size_t row, const CutTree::Path& path) {
        const double scale = Scale(*path.tree);
        const double displacement =
            CutTree::Displacement(path, parts.data() + row * 2 * padded, scale / static_cast<double>(trees_));
        sums[row] = std::fma(scale, displacement, sums[row]);
      });
      for (size_t r = 0; r < rows; ++r) {
        const auto i = begin + static_cast<int64_t>(r);
        a.scores[static_cast<size_t>(i)] = sums[r] / static_cast<double>(trees_);
        const double *high = parts.data() + r * 2 * padded, *low = high + padded;
        for (int64_t j = 0; j < X.cols; ++j) {
          a.high(i, j) = high[j];
          a.low(i, j) = low[j];
          a.contributions(i, j) = high[j] + low[j];
        }
      }
    }));
    return a;
  }

  void Save(ByteWriter& out) const override {
    out.U32(kStateVersion);
    unit_.Save(out);
    out.U64(seed_);
    out.I64(seen_);
    out.Doubles(median_);
    for (const CutTree& tree : forest_) tree.Save(out);
  }
  absl::Status Load(ByteReader& in) override {
    ReadVersion(in, kStateVersion);
    unit_.Load(in);
    training_scores_.clear();
    seed_ = in.U64();
    seen_ = ReadInt(in, "the rows seen", 1, int64_t{1} << 60);
    median_ = ReadDoubles(in, "the medians", unit_.features());
    forest_.clear();
    // A node takes 28 bytes and its box: what the remaining bytes cannot hold is not made room for.
    if (in.ok() && static_cast<double>(in.remaining()) < 2 * (28.0 + 16.0 * static_cast<double>(unit_.features())) * static_cast<double>(size_) * static_cast<double>(trees_)) in.Fail("the trees are cut off");
    for (int64_t t = 0; t < trees_ && in.ok(); ++t) {
      forest_.emplace_back();
      forest_.back().Load(in, static_cast<size_t>(unit_.features()), static_cast<size_t>(size_));
    }
    return in.status();
  }
  int64_t features() const override { return unit_.features(); }

 private:
  static constexpr int64_t kBlockRows = 64;

  /// visit(row - begin, path) for rows [begin, end) of X in all trees: tree by tree, which then stays in cache, and for
  /// each row in the order of the trees.
  template <typename F>
  void ForPaths(MatrixView X, int64_t begin, int64_t end, const F& visit) const {
    constexpr size_t kTogether = 8;
    const auto rows = static_cast<size_t>(end - begin), padded = CutTree::Padded(static_cast<size_t>(X.cols));
    std::vector<double> x(rows * padded, 0);
    for (size_t r = 0; r < rows; ++r) unit_.Read(X, begin + static_cast<int64_t>(r), x.data() + r * padded);
    CutTree::Path paths[kTogether];
    for (size_t at = 0; at < rows * forest_.size(); at += kTogether) {
      const size_t count = std::min(kTogether, rows * forest_.size() - at);
      for (size_t k = 0; k < count; ++k) {
        paths[k].tree = &forest_[(at + k) / rows];
        paths[k].x = x.data() + (at + k) % rows * padded;
      }
      CutTree::FindPaths(std::span(paths, count));
      for (size_t k = 0; k < count; ++k) visit((at + k) % rows, paths[k]);
    }
  }
  static double Scale(const CutTree& tree) { return std::log2(static_cast<double>(tree.rows()) + 1); }

  int64_t trees_, size_, seen_ = 0;
  uint64_t seed_ = 0;
  RowUnit unit_;
  std::vector<double> median_;
  std::vector<CutTree> forest_;
  std::vector<double> training_scores_;
};

constexpr ParamSpec kParams[] = {
    {.name = "n_trees", .type = ParamType::kInt, .default_value = "100", .min = 1, .max = 1000, .summary = "Number of trees; more make the score steadier."},
    {.name = "tree_size", .type = ParamType::kInt, .default_value = "256", .min = 2, .max = 4096, .summary = "Rows that each tree keeps."},
};

}  // namespace

extern const Descriptor k_rrcf;
const Descriptor k_rrcf = {
    .name = "rrcf",
    .family = "ensemble",
    .summary = "How much a row would change randomly cut trees of the rows before it, for streams: says which columns reach too high "
               "or too low, follows change. Needs comparable scales.",
    .paper = "S. Guha, N. Mishra, G. Roy, O. Schrijvers, Robust random cut forest based anomaly detection on streams, ICML, 2016",
    .params = kParams,
    .deterministic = false,
    .incremental = true,
    .wants_scaling = true,
    .fit_cost = "O(t psi log psi d + n t log psi d)",
    .score_cost = "O(t log psi d)",
    .cost = [](const ParamSet& p, int64_t n, int64_t d) -> Cost {
      const double trees = static_cast<double>(p.Int("n_trees")), size = static_cast<double>(p.Int("tree_size")), side = static_cast<double>(d);
      const auto padded = static_cast<double>(CutTree::Padded(static_cast<size_t>(d)));
      const double depth = 1.5 * std::log2(static_cast<double>(std::min(n, p.Int("tree_size"))) + 2), row = kRowFloor + trees * depth * (9e-9 + 1e-9 * side);
      return {.fit_seconds = kFitFloor + trees * std::min(size, static_cast<double>(n)) * depth * (2e-8 + 6e-9 * side) + static_cast<double>(n) * row,
              .score_seconds_per_row = row,
              .fit_bytes = kBytesFloor + 2 * trees * size * (42 + 16 * padded) + 16 * static_cast<double>(n) * side,
              .model_bytes = kBytesFloor + 2 * trees * size * (42 + 16 * padded)};
    },
    .make = [](const ParamSet& params) -> std::unique_ptr<Detector> { return std::make_unique<RandomCutForest>(params); },
};

}  // namespace vedette::outlier
