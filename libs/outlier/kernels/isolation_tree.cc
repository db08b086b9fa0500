#include "outlier/kernels/isolation_tree.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vedette::outlier {
namespace {

class Grower {
 public:
  Grower(IsolationTree& tree, std::span<const float> sample, int64_t psi, std::vector<int32_t> candidates,
         int max_depth, Rng& rng)
      : tree_(tree), sample_(sample), psi_(psi), features_(std::move(candidates)), max_depth_(max_depth), rng_(rng) {
    rows_.resize(psi);
    for (int64_t i = 0; i < psi; ++i) rows_[i] = static_cast<int32_t>(i);
  }

  // features_[0, constant) are known to be constant in this node. Deeper calls only permute what lies behind, so the
  // sibling finds the same set there.
  void Node(int64_t begin, int64_t end, int depth, size_t constant) {
    if (end - begin > 1 && depth < max_depth_) {
      while (constant < features_.size()) {
        const size_t pick = constant + rng_.Below(features_.size() - constant);
        const int32_t f = features_[pick];
        const float* column = sample_.data() + f * psi_;
        float low = column[rows_[begin]], high = low;
        for (int64_t i = begin + 1; i < end; ++i) {
          const float v = column[rows_[i]];
          low = std::min(low, v);
          high = std::max(high, v);
        }
        if (low == high) {
          std::swap(features_[constant++], features_[pick]);
          continue;
        }
        return Split(begin, end, depth, constant, f, Threshold(low, high));
      }
    }
    tree_.feature.push_back(static_cast<int32_t>(begin - end));
    tree_.threshold.push_back(0);
  }

 private:
  // In [low, high): both sides get a row.
  float Threshold(float low, float high) {
    const auto t = static_cast<float>(rng_.Uniform(low, high));
    return t >= low && t < high ? t : low;
  }

  void Split(int64_t begin, int64_t end, int depth, size_t constant, int32_t f, float threshold) {
    const float* column = sample_.data() + f * psi_;
    const auto middle = std::partition(rows_.begin() + begin, rows_.begin() + end,
                                       [&](int32_t row) { return column[row] <= threshold; });
    tree_.feature.push_back(f);
    tree_.threshold.push_back(threshold);
    const int64_t split = middle - rows_.begin();
    Node(begin, split, depth + 1, constant);
    Node(split, end, depth + 1, constant);
  }

  IsolationTree& tree_;
  std::span<const float> sample_;
  int64_t psi_;
  std::vector<int32_t> features_;
  int max_depth_;
  Rng& rng_;
  std::vector<int32_t> rows_;
};

}  // namespace

double AveragePathLength(int64_t n) {
  if (n <= 1) return 0;
  if (n == 2) return 1;
  const auto m = static_cast<double>(n);
  return 2 * (std::log(m - 1) + std::numbers::egamma) - 2 * (m - 1) / m;
}

IsolationTree IsolationTree::Grow(std::span<const float> sample, int64_t psi, std::vector<int32_t> candidates,
                                  int max_depth, Rng& rng) {
  IsolationTree tree;
  tree.feature.reserve(2 * psi);
  tree.threshold.reserve(2 * psi);
  Grower(tree, sample, psi, std::move(candidates), max_depth, rng).Node(0, psi, 0, 0);
  tree.Derive();
  return tree;
}

void IsolationTree::Derive() {
  const size_t n = feature.size();
  right.assign(n, 0);
  path_length.assign(n, 0);
  std::vector<int64_t> count(n);
  std::vector<double> sum(n);
  // Depths and right children forwards (a stack of the splits that still wait for their right child), sums backwards.
  std::vector<int32_t> node_depth(n), waiting;
  int next_depth = 0;
  depth = 0;
  for (size_t i = 0; i < n; ++i) {
    node_depth[i] = next_depth;
    depth = std::max(depth, next_depth);
    if (feature[i] >= 0) {
      waiting.push_back(static_cast<int32_t>(i));
      ++next_depth;
    } else if (!waiting.empty()) {
      const int32_t parent = waiting.back();
      waiting.pop_back();
      right[parent] = static_cast<int32_t>(i + 1);
      next_depth = node_depth[parent] + 1;
    }
  }
  for (size_t i = n; i-- > 0;) {
    if (feature[i] < 0) {
      count[i] = -static_cast<int64_t>(feature[i]);
      sum[i] = static_cast<double>(count[i]) * (node_depth[i] + AveragePathLength(count[i]));
    } else {
      count[i] = count[i + 1] + count[right[i]];
      sum[i] = sum[i + 1] + sum[right[i]];
    }
    path_length[i] = static_cast<float>(sum[i] / static_cast<double>(count[i]));
  }
}

void IsolationTree::Save(ByteWriter& out) const {
  out.I32s(feature);
  out.Floats(threshold);
}

IsolationTree IsolationTree::Load(ByteReader& in, int64_t features, int max_depth) {
  IsolationTree tree;
  tree.feature = in.I32s();
  tree.threshold = in.Floats();
  if (!in.ok()) return {};
  const auto bad = [&in](std::string_view why) {
    in.Fail(why);
    return IsolationTree();
  };
  if (tree.feature.size() != tree.threshold.size()) return bad("isolation tree: nodes and thresholds differ in number");
  // Preorder is whole when exactly one subtree is closed at the last node and none before.
  std::vector<int> open = {0};  // depths of the subtrees that are still to come
  for (size_t i = 0; i < tree.feature.size(); ++i) {
    if (open.empty()) return bad("isolation tree: nodes after the end of the tree");
    const int depth = open.back();
    open.pop_back();
    const int32_t f = tree.feature[i];
    if (f < 0) {
      if (f < -(1 << 24)) return bad("isolation tree: a leaf is too large");
      continue;
    }
    if (f >= features) return bad("isolation tree: a feature is out of range");
    if (depth >= max_depth) return bad("isolation tree: too deep");
    if (!std::isfinite(tree.threshold[i])) return bad("isolation tree: a threshold is not finite");
    open.insert(open.end(), {depth + 1, depth + 1});
  }
  if (!open.empty()) return bad("isolation tree: a subtree is missing");
  tree.Derive();
  return tree;
}

}  // namespace vedette::outlier
