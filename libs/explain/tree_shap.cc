#include "explain/tree_shap.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "base/status.h"
#include "outlier/parallel.h"

namespace vedette::explain {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kMaxBackground = 10000;
constexpr int64_t kRowsPerPiece = 16;

// Four leaves at once: wider ones than the processor's registers are taken apart by the compiler, value by value.
typedef double Lanes __attribute__((vector_size(32)));
typedef int64_t LaneMask __attribute__((vector_size(32)));

typedef double LanesInMemory __attribute__((vector_size(32), aligned(8), may_alias));

inline const LanesInMemory& LoadLanes(const double* from) { return *reinterpret_cast<const LanesInMemory*>(from); }

/// Zeros of the Legendre polynomial by Newton's method from Chebyshev-like guesses, moved from (-1, 1) to (0, 1).
void GaussLegendre(int n, std::vector<double>& nodes, std::vector<double>& weights) {
  nodes.resize(static_cast<size_t>(n));
  weights.resize(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    double x = std::cos(std::numbers::pi * (i + 0.75) / (n + 0.5)), slope = 1;
    for (int step = 0; step < 100; ++step) {
      double p = 1, before = 0;
      for (int k = 1; k <= n; ++k) {
        const double next = ((2 * k - 1) * x * p - (k - 1) * before) / k;
        before = p;
        p = next;
      }
      slope = n * (x * p - before) / (x * x - 1);
      const double change = p / slope;
      x -= change;
      if (std::fabs(change) < 1e-16) break;
    }
    nodes[static_cast<size_t>(i)] = (1 - x) / 2;
    weights[static_cast<size_t>(i)] = 1 / ((1 - x * x) * slope * slope);
  }
}

/// Shapley weights of a coalition of a only-row and b only-background features, for either side.
struct PairWeights {
  PairWeights() {
    for (size_t a = 0; a <= TreeShap::kMaxPathFeatures; ++a) {
      for (size_t b = 0; b <= TreeShap::kMaxPathFeatures; ++b) {
        // (a-1)! b! / (a+b)! = 1 / (a C(a+b, a)): built by products, exact to rounding.
        double ways = 1;
        for (size_t k = 1; k <= std::min(a, b); ++k) {
          ways = ways * static_cast<double>(a + b + 1 - k) / static_cast<double>(k);
        }
        row[a][b] = a == 0 ? 0 : 1 / (static_cast<double>(a) * ways);
        background[a][b] = b == 0 ? 0 : 1 / (static_cast<double>(b) * ways);
      }
    }
  }
  double row[TreeShap::kMaxPathFeatures + 1][TreeShap::kMaxPathFeatures + 1];
  double background[TreeShap::kMaxPathFeatures + 1][TreeShap::kMaxPathFeatures + 1];
};

const PairWeights& Weights() {
  static const PairWeights weights;
  return weights;
}

absl::Status CheckTree(const outlier::TreeView& tree, int64_t features) {
  const size_t n = tree.feature.size();
  if (n == 0 || tree.left.size() != n || tree.right.size() != n || tree.threshold.size() != n ||
      tree.cover.size() != n || tree.value.size() != n) {
    return InvalidArgument("a tree's arrays differ in length, or are empty");
  }
  std::vector<uint8_t> reached(n, 0);
  for (size_t node = 0; node < n; ++node) {
    if (!(tree.cover[node] > 0) || !std::isfinite(tree.cover[node]) || !std::isfinite(tree.value[node])) {
      return InvalidArgument("node {} of a tree has no rows, or no value", node);
    }
    if (tree.feature[node] < 0) continue;
    if (tree.feature[node] >= features) return InvalidArgument("a tree splits on a feature that is not there");
    for (const int32_t child : {tree.left[node], tree.right[node]}) {
      if (child <= static_cast<int64_t>(node) || child >= static_cast<int64_t>(n) ||
          reached[static_cast<size_t>(child)]++ != 0) {
        return InvalidArgument("a tree's nodes are not in order");
      }
    }
  }
  return absl::OkStatus();
}

std::vector<double> RowOf(MatrixView rows, int64_t i) {
  std::vector<double> row(static_cast<size_t>(rows.cols));
  for (int64_t j = 0; j < rows.cols; ++j) row[static_cast<size_t>(j)] = rows(i, j);
  return row;
}

}  // namespace

absl::Status TreeShap::AddTree(const outlier::TreeView& tree, double weight) {
  RETURN_IF_ERROR(CheckTree(tree, features_));
  root_ += weight * tree.value[0];
  struct Visit {
    size_t node;
    std::vector<Interval> path;
  };
  std::vector<Visit> open{{0, {}}};
  while (!open.empty()) {
    const Visit at = std::move(open.back());
    open.pop_back();
    if (tree.feature[at.node] < 0) {
      if (at.path.size() > kMaxPathFeatures) {
        return InvalidArgument("a path has {} features, at most {} can be explained", at.path.size(), kMaxPathFeatures);
      }
      leaves_.push_back({weight * tree.value[at.node], static_cast<uint32_t>(intervals_.size()),
                         static_cast<uint32_t>(at.path.size())});
      intervals_.insert(intervals_.end(), at.path.begin(), at.path.end());
      continue;
    }
    const int32_t feature = tree.feature[at.node];
    for (const bool left : {false, true}) {
      const auto child = static_cast<size_t>(left ? tree.left[at.node] : tree.right[at.node]);
      Visit next{child, at.path};
      auto found = std::find_if(next.path.begin(), next.path.end(), [&](const Interval& i) { return i.feature == feature; });
      if (found == next.path.end()) found = next.path.insert(found, Interval{feature, -kInfinity, kInfinity, 1});
      double& end = left ? found->high : found->low;
      end = left ? std::min(end, tree.threshold[at.node]) : std::max(end, tree.threshold[at.node]);
      found->share *= tree.cover[child] / tree.cover[at.node];
      open.push_back(std::move(next));
    }
  }
  return absl::OkStatus();
}

void TreeShap::MakeBlocks() {
  // Leaves of like length lie in one block, so that few slots are filled up.
  std::vector<uint32_t> order(leaves_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return leaves_[a].count < leaves_[b].count; });
  for (size_t first = 0; first < order.size(); first += kLanes) {
    const size_t lanes = std::min<size_t>(kLanes, order.size() - first);
    const uint32_t slots = leaves_[order[first + lanes - 1]].count;
    if (slots == 0) continue;  // a lone leaf is every row's: no feature's part
    const auto begin = static_cast<uint32_t>(lane_low_.size());
    blocks_.push_back({begin, slots});
    const size_t size = lane_low_.size() + static_cast<size_t>(slots) * kLanes;
    lane_feature_.resize(size, 0);
    lane_low_.resize(size, -kInfinity);
    lane_high_.resize(size, kInfinity);
    lane_share_.resize(size, 1);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lane_value_.push_back(lane < lanes ? leaves_[order[first + lane]].value : 0);
      if (lane >= lanes) continue;
      const Leaf& leaf = leaves_[order[first + lane]];
      for (uint32_t s = 0; s < leaf.count; ++s) {
        const Interval& interval = intervals_[leaf.begin + s];
        const size_t at = begin + s * kLanes + lane;
        lane_feature_[at] = interval.feature;
        lane_low_[at] = interval.low;
        lane_high_[at] = interval.high;
        lane_share_[at] = interval.share;
      }
    }
  }
}

absl::StatusOr<TreeShap> TreeShap::Make(const outlier::ForestView& forest) {
  if (forest.trees.empty() || forest.features < 1) return InvalidArgument("a forest without trees cannot be explained");
  TreeShap shap;
  shap.features_ = forest.features;
  for (const auto& tree : forest.trees) {
    RETURN_IF_ERROR(shap.AddTree(tree, 1.0 / static_cast<double>(forest.trees.size())));
  }
  shap.MakeBlocks();
  shap.nodes_.resize(kMaxPathFeatures / 2 + 1);
  shap.weights_.resize(shap.nodes_.size());
  for (size_t n = 1; n < shap.nodes_.size(); ++n) GaussLegendre(static_cast<int>(n), shap.nodes_[n], shap.weights_[n]);
  return shap;
}

uint32_t TreeShap::MaskOf(const Leaf& leaf, const double* row) const {
  uint32_t mask = 0;
  for (uint32_t s = 0; s < leaf.count; ++s) {
    const Interval& i = intervals_[leaf.begin + s];
    const double x = row[i.feature];
    mask |= static_cast<uint32_t>((x > i.low) & (x <= i.high)) << s;
  }
  return mask;
}

double TreeShap::OutputOf(const double* row) const {
  double sum = 0;
  for (const Leaf& leaf : leaves_) {
    bool inside = true;
    for (uint32_t s = 0; s < leaf.count && inside; ++s) {
      const Interval& i = intervals_[leaf.begin + s];
      inside = row[i.feature] > i.low && row[i.feature] <= i.high;
    }
    if (inside) sum += leaf.value;
  }
  return sum;
}

void TreeShap::PathDependentRow(const double* row, std::span<double> phi, std::vector<double>& scratch) const {
  Lanes inside[kMaxPathFeatures], factor[kMaxPathFeatures], before[kMaxPathFeatures], part[kMaxPathFeatures];
  scratch.resize(kLanes);
  const Lanes one = Lanes{} + 1.0, zero = {};
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const uint32_t slots = blocks_[b].slots;
    for (uint32_t s = 0; s < slots; ++s) {
      const size_t at = blocks_[b].begin + s * kLanes;
      Lanes x = {};
      for (int lane = 0; lane < kLanes; ++lane) x[lane] = row[lane_feature_[at + static_cast<size_t>(lane)]];
      const LaneMask in = (x > LoadLanes(&lane_low_[at])) & (x <= LoadLanes(&lane_high_[at]));
      inside[s] = in ? one : zero;
      part[s] = zero;
    }
    const size_t points = (slots + 1) / 2;
    for (size_t q = 0; q < points; ++q) {
      const double u = nodes_[points][q];
      Lanes product = Lanes{} + weights_[points][q];
      for (uint32_t s = 0; s < slots; ++s) {
        before[s] = product;
        factor[s] = LoadLanes(&lane_share_[blocks_[b].begin + s * kLanes]) * (1 - u) + inside[s] * u;
        product *= factor[s];
      }
      Lanes after = one;
      for (uint32_t s = slots; s-- > 0;) {
        part[s] += before[s] * after;
        after *= factor[s];
      }
    }
    const Lanes value = LoadLanes(&lane_value_[b * kLanes]);
    for (uint32_t s = 0; s < slots; ++s) {
      const size_t at = blocks_[b].begin + s * kLanes;
      const Lanes add = value * (inside[s] - LoadLanes(&lane_share_[at])) * part[s];
      std::memcpy(scratch.data(), &add, sizeof add);
      for (size_t lane = 0; lane < kLanes; ++lane) phi[static_cast<size_t>(lane_feature_[at + lane])] += scratch[lane];
    }
  }
}

absl::StatusOr<TreeShapResult> TreeShap::PathDependent(MatrixView rows, const Context& ctx) const {
  if (rows.cols != features_) return InvalidArgument("{} columns, the forest has {}", rows.cols, features_);
  TreeShapResult out{Matrix(rows.rows, rows.cols), std::vector<double>(static_cast<size_t>(rows.rows)), root_};
  RETURN_IF_ERROR(outlier::ParallelBlocks(ctx, rows.rows, kRowsPerPiece, [&](int64_t begin, int64_t end) {
    std::vector<double> scratch;
    for (int64_t i = begin; i < end; ++i) {
      const std::vector<double> row = RowOf(rows, i);
      std::vector<double> phi(row.size(), 0);
      PathDependentRow(row.data(), phi, scratch);
      out.output[static_cast<size_t>(i)] = OutputOf(row.data());
      for (int64_t j = 0; j < rows.cols; ++j) out.phi(i, j) = phi[static_cast<size_t>(j)];
    }
  }));
  return out;
}

absl::StatusOr<TreeShap::Background> TreeShap::Prepare(MatrixView background, const Context& ctx) const {
  if (background.cols != features_) return InvalidArgument("{} columns, the forest has {}", background.cols, features_);
  if (background.rows < 1 || background.rows > kMaxBackground) {
    return InvalidArgument("{} background rows, 1 to {} are needed", background.rows, kMaxBackground);
  }
  Background out;
  std::vector<std::vector<double>> rows;
  for (int64_t i = 0; i < background.rows; ++i) rows.push_back(RowOf(background, i));
  const double share = 1.0 / static_cast<double>(background.rows);
  std::vector<uint32_t> masks(rows.size());
  for (size_t l = 0; l < leaves_.size(); ++l) {
    if (l % 256 == 0) RETURN_IF_ERROR(ctx.Check());
    const Leaf& leaf = leaves_[l];
    for (size_t i = 0; i < rows.size(); ++i) masks[i] = MaskOf(leaf, rows[i].data());
    std::sort(masks.begin(), masks.end());
    out.begin.push_back(static_cast<uint32_t>(out.masks.size()));
    const uint32_t all = leaf.count == 32 ? ~0U : (1U << leaf.count) - 1;
    for (size_t i = 0; i < masks.size(); ++i) {
      if (masks[i] == all) out.expected += leaf.value * share;
      if (i > 0 && masks[i] == masks[i - 1]) {
        out.weights.back() += share;
      } else {
        out.masks.push_back(masks[i]);
        out.weights.push_back(share);
      }
    }
  }
  out.begin.push_back(static_cast<uint32_t>(out.masks.size()));
  return out;
}

/// A coalition reaches the leaf only if each interval holds the row or the background row; then, with A = intervals that
/// only the row is in and B = those that only the background row is in, each of A gets v (|A|-1)! |B|! / (|A|+|B|)! and
/// each of B loses v |A|! (|B|-1)! / (|A|+|B|)!. B is the set of intervals that miss the row, whatever the background
/// row, so that background rows are told apart by their masks alone.
void TreeShap::InterventionalRow(const double* row, const Background& background, std::span<double> phi) const {
  const PairWeights& table = Weights();
  for (size_t l = 0; l < leaves_.size(); ++l) {
    const Leaf& leaf = leaves_[l];
    const uint32_t all = leaf.count == 32 ? ~0U : (1U << leaf.count) - 1;
    const uint32_t missed = all & ~MaskOf(leaf, row);
    const auto b = static_cast<size_t>(std::popcount(missed));
    double lost = 0;
    for (uint32_t m = background.begin[l]; m < background.begin[l + 1]; ++m) {
      const uint32_t mask = background.masks[m];
      if ((mask & missed) != missed) continue;
      const uint32_t only_row = all & ~mask;
      const auto a = static_cast<size_t>(std::popcount(only_row));
      const double weight = leaf.value * background.weights[m];
      lost += weight * table.background[a][b];
      const double gain = weight * table.row[a][b];
      for (uint32_t bits = only_row; bits != 0; bits &= bits - 1) {
        phi[static_cast<size_t>(intervals_[leaf.begin + static_cast<uint32_t>(std::countr_zero(bits))].feature)] += gain;
      }
    }
    if (lost == 0) continue;
    for (uint32_t bits = missed; bits != 0; bits &= bits - 1) {
      phi[static_cast<size_t>(intervals_[leaf.begin + static_cast<uint32_t>(std::countr_zero(bits))].feature)] -= lost;
    }
  }
}

absl::StatusOr<TreeShapResult> TreeShap::Interventional(MatrixView rows, const Background& background,
                                                        const Context& ctx) const {
  if (rows.cols != features_) return InvalidArgument("{} columns, the forest has {}", rows.cols, features_);
  if (background.begin.size() != leaves_.size() + 1) return InvalidArgument("the background is another forest's");
  TreeShapResult out{Matrix(rows.rows, rows.cols), std::vector<double>(static_cast<size_t>(rows.rows)),
                     background.expected};
  RETURN_IF_ERROR(outlier::ParallelBlocks(ctx, rows.rows, kRowsPerPiece, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::vector<double> row = RowOf(rows, i);
      std::vector<double> phi(row.size(), 0);
      InterventionalRow(row.data(), background, phi);
      out.output[static_cast<size_t>(i)] = OutputOf(row.data());
      for (int64_t j = 0; j < rows.cols; ++j) out.phi(i, j) = phi[static_cast<size_t>(j)];
    }
  }));
  return out;
}

}  // namespace vedette::explain
