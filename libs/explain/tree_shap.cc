#include "explain/tree_shap.h"

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "explain/quadrature.h"
#include "explain/tree_shap_lanes.h"
#include "outlier/parallel.h"

namespace vedette::explain {
namespace {

constexpr int64_t kRowsPerPiece = 32;   // of one tree after the other: its tables stay in the first-level cache
constexpr int kStates = 3, kParts = 4;  // see Flow

absl::Status CheckTree(const outlier::TreeView& tree, int64_t features) {
  const size_t n = tree.feature.size();
  if (n == 0 || tree.left.size() != n || tree.right.size() != n || tree.threshold.size() != n ||
      tree.cover.size() != n || tree.value.size() != n ||
      (!tree.missing_left.empty() && tree.missing_left.size() != n) ||
      (!tree.codes_left.empty() && tree.codes_left.size() != n)) {
    return InvalidArgument("a tree's arrays differ in length, or are empty");
  }
  std::vector<uint8_t> reached(n, 0);
  for (size_t node = 0; node < n; ++node) {
    if (!(tree.cover[node] > 0) || !std::isfinite(tree.cover[node]) || !std::isfinite(tree.value[node])) {
      return InvalidArgument("node {} of a tree has no rows, or no value", node);
    }
    if (tree.feature[node] < 0) continue;
    if (tree.feature[node] >= features) return InvalidArgument("a tree splits on a feature that is not there");
    if (std::isnan(tree.threshold[node]) && (tree.codes_left.empty() || tree.codes_left[node].empty())) {
      return InvalidArgument("node {} of a tree has neither a threshold nor categories", node);
    }
    for (const int32_t child : {tree.left[node], tree.right[node]}) {
      if (child <= static_cast<int64_t>(node) || child >= static_cast<int64_t>(n) ||
          reached[static_cast<size_t>(child)]++ != 0) {
        return InvalidArgument("a tree's nodes are not in order");
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<double> RowOf(MatrixView rows, int64_t i) {
  std::vector<double> row(static_cast<size_t>(rows.cols));
  for (int64_t j = 0; j < rows.cols; ++j) row[static_cast<size_t>(j)] = rows(i, j);
  return row;
}

absl::Status TreeShap::AddTree(const outlier::TreeView& view, double weight, std::vector<Shares>& shares) {
  RETURN_IF_ERROR(CheckTree(view, features_));
  root_ += weight * view.value[0];
  Tree tree{static_cast<uint32_t>(splits_.size()), 0, static_cast<uint32_t>(leaves_.size()), 0,
            static_cast<uint32_t>(next_.size()),   1};
  next_.push_back(0);
  struct Step {  // the last split of one feature on the path
    int32_t feature;
    uint32_t child;
    double share;
  };
  struct Visit {
    size_t from;  // of the view
    uint32_t node;
    std::vector<Step> path;
  };
  std::vector<Visit> open{{0, 0, {}}};
  while (!open.empty()) {
    const Visit at = std::move(open.back());
    open.pop_back();
    if (at.path.size() > kMaxPathFeatures) {
      return InvalidArgument("a path has {} features, at most {} can be explained", at.path.size(), kMaxPathFeatures);
    }
    if (view.feature[at.from] < 0) {
      next_[tree.first_node + at.node] = -1 - static_cast<int32_t>(leaves_.size() - tree.first_leaf);
      leaves_.push_back({weight * view.value[at.from], at.node, static_cast<uint32_t>(slot_features_.size()),
                         static_cast<uint32_t>(at.path.size())});
      for (const Step& step : at.path) slot_features_.push_back(step.feature);
      most_slots_ = std::max(most_slots_, leaves_.back().slots);
      continue;
    }
    const int32_t feature = view.feature[at.from];
    const auto found =
        std::find_if(at.path.begin(), at.path.end(), [&](const Step& s) { return s.feature == feature; });
    const auto slot = static_cast<size_t>(found - at.path.begin());
    const bool fresh = found == at.path.end();
    const Split split{
        feature, at.node, tree.nodes, fresh ? 0 : found->child, static_cast<uint32_t>(slot), view.threshold[at.from]};
    Shares share{.before = fresh ? 1 : found->share};
    next_[tree.first_node + at.node] = static_cast<int32_t>(splits_.size() - tree.first_split);
    tree.nodes += 2;
    next_.resize(next_.size() + 2);
    for (const bool left : {true, false}) {
      const auto child = static_cast<size_t>(left ? view.left[at.from] : view.right[at.from]);
      const double below = share.before * (view.cover[child] / view.cover[at.from]);
      (left ? share.left : share.right) = below;
      Visit next{child, split.left + (left ? 0U : 1U), at.path};
      if (fresh) next.path.push_back({feature, 0, 1});
      next.path[slot].child = next.node;
      next.path[slot].share = below;
      open.push_back(std::move(next));
    }
    splits_.push_back(split);
    thresholds_only_ = thresholds_only_ && !std::isnan(split.threshold);
    missing_left_.push_back(view.missing_left.empty() ? 0 : view.missing_left[at.from]);
    codes_left_.push_back(view.codes_left.empty() ? std::vector<uint8_t>() : view.codes_left[at.from]);
    shares.push_back(share);
  }
  tree.splits = static_cast<uint32_t>(splits_.size()) - tree.first_split;
  tree.leaves = static_cast<uint32_t>(leaves_.size()) - tree.first_leaf;
  most_nodes_ = std::max(most_nodes_, tree.nodes);
  trees_.push_back(tree);
  return absl::OkStatus();
}

bool TreeShap::Otherwise(const Split& split, double x) const {
  const auto at = static_cast<size_t>(&split - splits_.data());
  if (std::isnan(x)) return missing_left_[at] != 0;
  const std::vector<uint8_t>& codes = codes_left_[at];
  return codes[std::min(static_cast<size_t>(x), codes.size() - 1)] != 0;
}

/// States of a split: 0 = the row left the feature's interval before, 1 = it goes right here, 2 = it goes left. Per
/// state the factors of the left and the right edge, f / f', then their weights w ((o - z) / f - (o' - z') / f'), which
/// are 0 in state 0: there both quotients are -1 / (1 - u). The factor of an edge to a leaf has the leaf's value in it.
void TreeShap::Tabulate(std::span<const Shares> shares) {
  vectors_ = (static_cast<int>(most_slots_) + 7) / 8;  // 4 points each are exact for 8 features
  vectors_ = std::max(vectors_, 1);
  const int points = vectors_ * kLanes;
  const Quadrature rule = GaussLegendre(points);
  tables_ = outlier::AlignedArray<double>(static_cast<int64_t>(splits_.size()) * kStates * kParts * points);
  double* out = tables_.get();
  for (const Tree& tree : trees_) {
    for (uint32_t s = tree.first_split; s < tree.first_split + tree.splits; ++s) {
      const auto value_of = [&](uint32_t node) {
        const int32_t next = next_[tree.first_node + node];
        return next >= 0 ? 1.0 : leaves_[tree.first_leaf + static_cast<uint32_t>(-1 - next)].value;
      };
      const Shares& z = shares[s];
      for (int state = 0; state < kStates; ++state, out += kParts * points) {
        for (const bool left : {true, false}) {
          const double share = left ? z.left : z.right, value = value_of(splits_[s].left + (left ? 0U : 1U));
          const bool inside = state != 0 && left == (state == 2);
          for (int q = 0; q < points; ++q) {
            const double u = rule.nodes[static_cast<size_t>(q)], rest = 1 - u;
            const double f = share * rest + (inside ? u : 0), before = z.before * rest + u;
            const int at = (left ? 0 : points) + q;
            out[at] = value * (state == 0 ? share / z.before : f / before);
            out[2 * points + at] = state == 0 ? 0
                                              : rule.weights[static_cast<size_t>(q)] *
                                                    ((inside ? (1 - share) / f : -1 / rest) - (1 - z.before) / before);
          }
        }
      }
    }
  }
}

absl::StatusOr<TreeShap> TreeShap::Make(const outlier::ForestView& forest) {
  if (forest.trees.empty() || forest.features < 1) return InvalidArgument("a forest without trees cannot be explained");
  TreeShap shap;
  shap.features_ = forest.features;
  std::vector<Shares> shares;
  for (const auto& tree : forest.trees) {
    RETURN_IF_ERROR(shap.AddTree(tree, 1.0 / static_cast<double>(forest.trees.size()), shares));
  }
  shap.Tabulate(shares);
  return shap;
}

bool TreeShap::Plain(std::span<const double> row) const {
  return thresholds_only_ && std::none_of(row.begin(), row.end(), [](double x) { return std::isnan(x); });
}

double TreeShap::OutputOf(std::span<const double> row) const {
  double sum = 0;
  for (const Tree& tree : trees_) {
    uint32_t node = 0;
    int32_t next;
    while ((next = next_[tree.first_node + node]) >= 0) {
      const Split& split = splits_[tree.first_split + static_cast<uint32_t>(next)];
      node = split.left + (GoesLeft<false>(split, row.data()) ? 0 : 1);
    }
    sum += leaves_[tree.first_leaf + static_cast<uint32_t>(-1 - next)].value;
  }
  return sum;
}

struct TreeShap::Scratch {
  explicit Scratch(uint32_t nodes, int vectors)
      : flow(static_cast<int64_t>(nodes) * vectors * kLanes), inside(nodes), state(nodes) {}
  outlier::AlignedArray<double> flow;  ///< [node][point]
  std::vector<uint8_t> inside, state;  ///< per node, per split
};

/// Down: the product of the factors on each node's path. Up: the sum over the leaves below, and each edge's part.
template <bool kPlain, int kVectors>
void TreeShap::Flow(const Tree& tree, const double* row, Scratch& scratch, double* sums) const {
  constexpr int64_t kPoints = kVectors * kLanes;
  double* flow = scratch.flow.get();
  uint8_t* inside = scratch.inside.data();
  const Split* splits = splits_.data() + tree.first_split;
  const double* tables = tables_.get() + int64_t{tree.first_split} * kStates * kParts * kPoints;
  inside[0] = 1;
  for (int64_t q = 0; q < kPoints; ++q) flow[q] = 1;
  for (uint32_t s = 0; s < tree.splits; ++s) {
    const Split& split = splits[s];
    const unsigned left = GoesLeft<kPlain>(split, row) ? 1 : 0, in = inside[split.before];
    const unsigned state = in * (1 + left);
    scratch.state[s] = static_cast<uint8_t>(state);
    inside[split.left] = static_cast<uint8_t>(in & left);
    inside[split.left + 1] = static_cast<uint8_t>(in & ~left);
    const double* table = tables + (int64_t{s} * kStates + state) * kParts * kPoints;
    const double* from = flow + split.node * kPoints;
    double* to = flow + split.left * kPoints;
    for (int v = 0; v < kVectors; ++v) {
      const Lanes product = LoadLanes(from + v * kLanes);
      StoreLanes(to + v * kLanes, product * LoadLanes(table + v * kLanes));
      StoreLanes(to + kPoints + v * kLanes, product * LoadLanes(table + kPoints + v * kLanes));
    }
  }
  for (uint32_t s = tree.splits; s-- > 0;) {
    const Split& split = splits[s];
    const double* weights = tables + ((int64_t{s} * kStates + scratch.state[s]) * kParts + 2) * kPoints;
    const double* from = flow + split.left * kPoints;
    double* to = flow + split.node * kPoints;
    Lanes sum = LoadLanes(sums + split.feature * kLanes);
    for (int v = 0; v < kVectors; ++v) {
      const Lanes left = LoadLanes(from + v * kLanes), right = LoadLanes(from + kPoints + v * kLanes);
      sum += left * LoadLanes(weights + v * kLanes) + right * LoadLanes(weights + kPoints + v * kLanes);
      StoreLanes(to + v * kLanes, left + right);
    }
    StoreLanes(sums + split.feature * kLanes, sum);
  }
}

void TreeShap::PathDependentRows(MatrixView rows, int64_t begin, int64_t end, TreeShapResult& out) const {
  Scratch scratch(most_nodes_, vectors_);
  const int64_t width = features_ * kLanes;
  const outlier::AlignedArray<double> sums((end - begin) * width);
  std::fill_n(sums.get(), sums.size(), 0.0);
  constexpr FlowFn kFlows[2][4] = {
      {&TreeShap::Flow<false, 1>, &TreeShap::Flow<false, 2>, &TreeShap::Flow<false, 3>, &TreeShap::Flow<false, 4>},
      {&TreeShap::Flow<true, 1>, &TreeShap::Flow<true, 2>, &TreeShap::Flow<true, 3>, &TreeShap::Flow<true, 4>}};
  std::vector<std::vector<double>> values;
  std::vector<FlowFn> flows;
  for (int64_t i = begin; i < end; ++i) {
    values.push_back(RowOf(rows, i));
    flows.push_back(kFlows[Plain(values.back()) ? 1 : 0][vectors_ - 1]);
  }
  for (const Tree& tree : trees_) {
    for (size_t i = 0; i < values.size(); ++i) {
      (this->*flows[i])(tree, values[i].data(), scratch, sums.get() + static_cast<int64_t>(i) * width);
    }
  }
  for (int64_t i = begin; i < end; ++i) {
    out.output[static_cast<size_t>(i)] = OutputOf(values[static_cast<size_t>(i - begin)]);
    for (int64_t j = 0; j < features_; ++j) {
      const double* lanes = sums.get() + (i - begin) * width + j * kLanes;
      out.phi(i, j) = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    }
  }
}

absl::StatusOr<TreeShapResult> TreeShap::PathDependent(MatrixView rows, const Context& ctx) const {
  if (rows.cols != features_) return InvalidArgument("{} columns, the forest has {}", rows.cols, features_);
  TreeShapResult out{Matrix(rows.rows, rows.cols), std::vector<double>(static_cast<size_t>(rows.rows)), root_};
  RETURN_IF_ERROR(outlier::ParallelBlocks(
      ctx, rows.rows, kRowsPerPiece, [&](int64_t begin, int64_t end) { PathDependentRows(rows, begin, end, out); }));
  return out;
}

}  // namespace vedette::explain
