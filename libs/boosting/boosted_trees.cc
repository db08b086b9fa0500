#include "boosting/boosted_trees.h"

#include <algorithm>
#include <cmath>

#include "outlier/state.h"

namespace vedette::boosting {
namespace {

/// Right children and means from the rest; false when the arrays are no whole tree.
bool Derive(BoostedTree& tree, int64_t features) {
  const size_t n = tree.feature.size();
  if (n == 0 || tree.value.size() != n || tree.cover.size() != n) return false;
  tree.right.assign(n, 0);
  tree.mean.assign(n, 0);
  // Preorder is whole when the last node closes the last open subtree, and none before does.
  struct Open {
    int64_t parent;
    int depth;
  };
  std::vector<Open> open = {{-1, 0}};
  for (size_t i = 0; i < n; ++i) {
    if (open.empty()) return false;
    const Open at = open.back();
    open.pop_back();
    if (at.parent >= 0) tree.right[static_cast<size_t>(at.parent)] = static_cast<int32_t>(i);
    if (!std::isfinite(tree.value[i]) || !std::isfinite(tree.cover[i]) || tree.cover[i] < 0) return false;
    if (tree.feature[i] < 0) continue;
    if (tree.feature[i] >= features || at.depth >= BoostedTrees::kDeepest) return false;
    open.push_back({static_cast<int64_t>(i), at.depth + 1});
    open.push_back({-1, at.depth + 1});
  }
  if (!open.empty()) return false;
  for (size_t i = n; i-- > 0;) {
    if (tree.feature[i] < 0) {
      tree.mean[i] = tree.value[i];
      continue;
    }
    const size_t left = i + 1, right = static_cast<size_t>(tree.right[i]);
    const double a = tree.cover[left], b = tree.cover[right];
    const double share = a + b > 0 ? a / (a + b) : 0.5;
    tree.mean[i] = share * tree.mean[left] + (1 - share) * tree.mean[right];
  }
  return true;
}

size_t Next(const BoostedTree& tree, size_t node, const float* row) {
  return row[tree.feature[node]] < tree.value[node] ? node + 1 : static_cast<size_t>(tree.right[node]);
}

}  // namespace

bool BoostedTrees::Add(BoostedTree tree, int64_t features) {
  for (int32_t& f : tree.feature) f = f < 0 ? -1 : f;
  if (static_cast<int64_t>(size()) >= kMostTrees || !Derive(tree, features)) return false;
  trees_.push_back(std::move(tree));
  return true;
}

double BoostedTrees::Output(const float* row) const {
  double sum = 0;
  for (const BoostedTree& tree : trees_) {
    size_t node = 0;
    while (tree.feature[node] >= 0) node = Next(tree, node, row);
    sum += tree.value[node];
  }
  return sum;
}

void BoostedTrees::AddParts(const float* row, std::span<double> parts) const {
  for (const BoostedTree& tree : trees_) {
    size_t node = 0;
    while (tree.feature[node] >= 0) {
      const size_t child = Next(tree, node, row);
      parts[static_cast<size_t>(tree.feature[node])] += tree.mean[child] - tree.mean[node];
      node = child;
    }
  }
}

double BoostedTrees::Base() const {
  double sum = 0;
  for (const BoostedTree& tree : trees_) sum += tree.mean[0];
  return sum;
}

void BoostedTrees::MarkUsed(std::span<uint8_t> used) const {
  for (const BoostedTree& tree : trees_) {
    for (const int32_t f : tree.feature) {
      if (f >= 0) used[static_cast<size_t>(f)] = 1;
    }
  }
}

void BoostedTrees::Rename(std::span<const int32_t> names) {
  for (BoostedTree& tree : trees_) {
    for (int32_t& f : tree.feature) {
      if (f >= 0) f = names[static_cast<size_t>(f)];
    }
  }
}

void BoostedTrees::Save(ByteWriter& out) const {
  out.I64(static_cast<int64_t>(trees_.size()));
  for (const BoostedTree& tree : trees_) {
    out.I32s(tree.feature);
    out.Floats(tree.value);
    out.Floats(tree.cover);
  }
}

void BoostedTrees::Load(ByteReader& in, int64_t features) {
  trees_.clear();
  const int64_t count = outlier::ReadInt(in, "the number of trees", 1, kMostTrees);
  for (int64_t t = 0; t < count && in.ok(); ++t) {
    BoostedTree tree;
    tree.feature = in.I32s();
    tree.value = in.Floats();
    tree.cover = in.Floats();
    if (in.ok() && !Add(std::move(tree), features)) in.Fail("a boosted tree is damaged");
  }
}

}  // namespace vedette::boosting
