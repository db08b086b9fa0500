#include "outlier/kernels/mixed_tree.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vedette::outlier {
namespace {

class MixedGrower {
 public:
  MixedGrower(MixedTree& tree, std::span<const float> sample, int64_t psi, std::span<const int32_t> categories,
              std::vector<int32_t> candidates, int max_depth, Rng& rng)
      : tree_(tree),
        sample_(sample),
        psi_(psi),
        categories_(categories),
        features_(std::move(candidates)),
        max_depth_(max_depth),
        rng_(rng) {
    rows_.resize(static_cast<size_t>(psi));
    for (size_t i = 0; i < rows_.size(); ++i) rows_[i] = static_cast<int32_t>(i);
  }

  // features_[0, constant) are known to be constant in this node; see IsolationTree's MixedGrower.
  void Node(int64_t begin, int64_t end, int depth, size_t constant) {
    if (end - begin > 1 && depth < max_depth_) {
      while (constant < features_.size()) {
        const size_t pick = constant + rng_.Below(features_.size() - constant);
        const int32_t f = features_[pick];
        const bool split =
            categories_[static_cast<size_t>(f)] > 0 ? DrawSubset(f, begin, end) : DrawThreshold(f, begin, end);
        if (!split) {
          std::swap(features_[constant++], features_[pick]);
          continue;
        }
        return Split(begin, end, depth, constant);
      }
    }
    Push(static_cast<int32_t>(begin - end), 0, MixedTree::kUnseen);
  }

 private:
  const float* Column(int32_t f) const { return sample_.data() + f * psi_; }
  bool Coin() { return (rng_.Next() >> 63) != 0; }

  void Push(int32_t feature, float threshold, int32_t missing) {
    tree_.feature.push_back(feature);
    tree_.threshold.push_back(threshold);
    tree_.missing.push_back(missing);
    tree_.codes_end.push_back(static_cast<int32_t>(tree_.codes.size()));
  }

  /// Appends the split; false when the column is constant in the node.
  bool DrawThreshold(int32_t f, int64_t begin, int64_t end) {
    const float* column = Column(f);
    float low = 0, high = 0;
    int64_t present = 0;
    for (int64_t i = begin; i < end; ++i) {
      const float v = column[rows_[static_cast<size_t>(i)]];
      if (std::isnan(v)) continue;
      low = present == 0 ? v : std::min(low, v);
      high = present == 0 ? v : std::max(high, v);
      ++present;
    }
    const bool some_missing = present < end - begin;
    if (present == 0 || (low == high && !some_missing)) return false;
    if (some_missing && (low == high || Coin())) {
      Push(f, 0, MixedTree::kApart);
      return true;
    }
    const auto t = static_cast<float>(rng_.Uniform(low, high));
    const int32_t side = !some_missing ? MixedTree::kUnseen : Coin() ? MixedTree::kLeft : MixedTree::kRight;
    Push(f, t >= low && t < high ? t : low, side);
    return true;
  }

  /// Appends the split; false when all rows of the node have the same category, or none has one.
  bool DrawSubset(int32_t f, int64_t begin, int64_t end) {
    std::vector<int32_t> seen;  // ascending, the missing last
    for (int64_t i = begin; i < end; ++i) {
      const float v = Column(f)[rows_[static_cast<size_t>(i)]];
      seen.push_back(std::isnan(v) ? INT32_MAX : static_cast<int32_t>(v));
    }
    std::sort(seen.begin(), seen.end());
    std::vector<double> rarity;
    size_t values = 0;
    for (size_t first = 0, last; first < seen.size(); first = last) {
      last = static_cast<size_t>(std::upper_bound(seen.begin(), seen.end(), seen[first]) - seen.begin());
      rarity.push_back(-std::log(static_cast<double>(last - first)));
      seen[values++] = seen[first];
    }
    if (values < 2) return false;
    seen.resize(values);
    const std::vector<uint8_t> to_right = Sides(rarity);
    const bool some_missing = seen.back() == INT32_MAX;
    for (size_t k = 0; k < values - (some_missing ? 1 : 0); ++k) tree_.codes.push_back(2 * seen[k] + to_right[k]);
    Push(f, 0, !some_missing ? MixedTree::kUnseen : to_right.back() != 0 ? MixedTree::kRight : MixedTree::kLeft);
    return true;
  }

  std::vector<uint8_t> Sides(const std::vector<double>& rarity) {
    std::vector<uint8_t> to_right(rarity.size());
    const auto [low, high] = std::minmax_element(rarity.begin(), rarity.end());
    if (*low < *high && Coin()) {
      const double t = std::min(rng_.Uniform(*low, *high), std::nextafter(*high, *low));
      for (size_t k = 0; k < rarity.size(); ++k) to_right[k] = rarity[k] > t ? 1 : 0;
      return to_right;
    }
    size_t right = 0;
    while (right == 0 || right == rarity.size()) {
      right = 0;
      for (uint8_t& side : to_right) right += side = Coin() ? 1 : 0;
    }
    return to_right;
  }

  void Split(int64_t begin, int64_t end, int depth, size_t constant) {
    const size_t node = tree_.feature.size() - 1;
    const int32_t f = tree_.feature[node];
    const float* column = Column(f);
    const bool is_category = categories_[static_cast<size_t>(f)] > 0;
    const auto middle = std::partition(rows_.begin() + begin, rows_.begin() + end,
                                       [&](int32_t row) { return tree_.GoesLeft(node, column[row], is_category); });
    const int64_t split = middle - rows_.begin();
    Node(begin, split, depth + 1, constant);
    Node(split, end, depth + 1, constant);
  }

  MixedTree& tree_;
  std::span<const float> sample_;
  int64_t psi_;
  std::span<const int32_t> categories_;
  std::vector<int32_t> features_;
  int max_depth_;
  Rng& rng_;
  std::vector<int32_t> rows_;
};

}  // namespace

bool MixedTree::GoesLeft(size_t node, float value, bool is_category) const {
  if (std::isnan(value)) {
    if (missing[node] != kUnseen) return missing[node] != kRight;
  } else if (!is_category) {
    return missing[node] != kApart && value <= threshold[node];
  } else if (value >= 0) {
    const auto first = codes.begin() + (node == 0 ? 0 : codes_end[node - 1]), last = codes.begin() + codes_end[node];
    const auto code = static_cast<int32_t>(value);
    const auto found = std::lower_bound(first, last, 2 * code);
    if (found != last && *found / 2 == code) return *found % 2 == 0;
  }
  return count[node + 1] <= count[static_cast<size_t>(right[node])];
}

MixedTree MixedTree::Grow(std::span<const float> sample, int64_t psi, std::span<const int32_t> categories,
                          std::vector<int32_t> candidates, int max_depth, Rng& rng) {
  MixedTree tree;
  MixedGrower(tree, sample, psi, categories, std::move(candidates), max_depth, rng).Node(0, psi, 0, 0);
  tree.Derive(max_depth, categories);
  return tree;
}

MixedTree MixedTree::From(const IsolationTree& plain) {
  MixedTree tree;
  tree.feature = plain.feature;
  tree.threshold = plain.threshold;
  tree.missing.assign(plain.feature.size(), kUnseen);
  tree.codes_end.assign(plain.feature.size(), 0);
  tree.Derive(plain.depth, {});
  return tree;
}

bool MixedTree::Derive(int max_depth, std::span<const int32_t> categories) {
  const size_t n = feature.size();
  right.assign(n, 0);
  count.assign(n, 0);
  path_length.assign(n, 0);
  // Preorder is whole when exactly one subtree is closed at the last node and none before.
  struct Open {
    int64_t parent;  // of a right child, else -1
    int depth;
  };
  std::vector<Open> open = {{-1, 0}};
  std::vector<int> depth(n);
  for (size_t i = 0; i < n; ++i) {
    if (open.empty()) return false;
    const Open at = open.back();
    open.pop_back();
    depth[i] = at.depth;
    levels = std::max(levels, at.depth);
    if (at.parent >= 0) right[static_cast<size_t>(at.parent)] = static_cast<int32_t>(i);
    if (feature[i] < 0) continue;
    if (at.depth >= max_depth) return false;
    open.push_back({static_cast<int64_t>(i), at.depth + 1});
    open.push_back({-1, at.depth + 1});
  }
  if (!open.empty() || n == 0) return false;
  std::vector<double> sum(n);
  for (size_t i = n; i-- > 0;) {
    if (feature[i] < 0) {
      count[i] = -feature[i];
      sum[i] = count[i] * (depth[i] + AveragePathLength(count[i]));
    } else {
      const auto r = static_cast<size_t>(right[i]);
      if (count[i + 1] > INT32_MAX - count[r]) return false;
      count[i] = count[i + 1] + count[r];
      sum[i] = sum[i + 1] + sum[r];
    }
    path_length[i] = static_cast<float>(sum[i] / count[i]);
  }
  MakeSteps(categories);
  return true;
}

void MixedTree::MakeSteps(std::span<const int32_t> categories) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  steps.assign(feature.size(), {});
  for (size_t i = 0; i < steps.size(); ++i) {
    Step& step = steps[i];
    step.right = static_cast<int32_t>(i);
    if (feature[i] < 0) continue;
    step.feature = feature[i];
    step.right = right[i];
    const bool is_category = !categories.empty() && categories[static_cast<size_t>(feature[i])] > 0;
    step.missing_left = GoesLeft(i, kNan, is_category);
    step.threshold = missing[i] == kApart ? -std::numeric_limits<float>::infinity() : threshold[i];
    if (!is_category) continue;
    step.threshold = kNan;
    step.left_codes = GoesLeft(i, -1, true) ? ~uint64_t{0} : 0;  // what it never saw
    for (int32_t k = i == 0 ? 0 : codes_end[i - 1]; k < codes_end[i]; ++k) {
      const int32_t code = codes[static_cast<size_t>(k)] / 2;
      if (code >= 64) break;
      const uint64_t bit = uint64_t{1} << code;
      step.left_codes = codes[static_cast<size_t>(k)] % 2 == 0 ? step.left_codes | bit : step.left_codes & ~bit;
    }
  }
}

void MixedTree::AddPathLengths(const float* rows, const uint8_t* row_codes, size_t columns, double* sums) const {
  int32_t node[kTogether] = {};
  for (int32_t level = 0; level < levels; ++level) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kTogether; ++r) {
      const Step& step = steps[static_cast<size_t>(node[r])];
      const size_t at = r * columns + static_cast<size_t>(step.feature);
      const float value = rows[at];
      const auto none = static_cast<int32_t>(value != value), below = static_cast<int32_t>(value <= step.threshold);
      const auto coded = static_cast<int32_t>(step.left_codes >> row_codes[at] & 1);
      const int32_t left = (none & static_cast<int32_t>(step.missing_left)) | (~none & (below | coded));
      node[r] = step.right ^ ((step.right ^ (node[r] + 1)) & -left);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kTogether; ++r) sums[r] += path_length[static_cast<size_t>(node[r])];
}

void AddPathLengths(std::span<const MixedTree> trees, std::span<const float> rows, std::span<const int32_t> categories,
                    std::span<double> sums) {
  constexpr size_t kTogether = MixedTree::kTogether;
  const size_t d = categories.size(), n = sums.size();
  std::vector<uint8_t> codes(rows.size(), 0);
  std::vector<bool> alone((n + kTogether - 1) / kTogether, false);  // with a category that is new, or above 63
  for (size_t j = 0; j < d; ++j) {
    for (size_t k = 0; k < n && categories[j] > 0; ++k) {
      const float code = rows[k * d + j];
      if (code >= 0 && code < 64) codes[k * d + j] = static_cast<uint8_t>(code);
      if (code < 0 || code >= 64) alone[k / kTogether] = true;
    }
  }
  if (n % kTogether != 0) alone.back() = true;
  for (const MixedTree& tree : trees) {  // tree by tree: its nodes stay in the cache
    for (size_t k = 0; k < n; k += kTogether) {
      if (!alone[k / kTogether]) {
        tree.AddPathLengths(rows.data() + k * d, codes.data() + k * d, d, sums.data() + k);
        continue;
      }
      for (size_t r = k; r < std::min(n, k + kTogether); ++r) sums[r] += tree.PathLength(rows.data() + r * d);
    }
  }
}

void MixedTree::Save(ByteWriter& out) const {
  out.I32s(feature);
  out.Floats(threshold);
  out.I32s(missing);
  out.I32s(codes);
  out.I32s(codes_end);
}

bool MixedTree::CodesAreSound(std::span<const int32_t> categories) const {
  int32_t begin = 0;
  for (size_t i = 0; i < feature.size(); ++i) {
    const int32_t end = codes_end[i];
    if (end < begin || end > static_cast<int32_t>(codes.size())) return false;
    const int32_t known = feature[i] < 0 ? 0 : categories[static_cast<size_t>(feature[i])];
    if (known == 0 && end != begin) return false;
    for (int32_t k = begin; k < end; ++k) {
      const int32_t code = codes[static_cast<size_t>(k)];
      if (code < 0 || code / 2 >= known || (k > begin && codes[static_cast<size_t>(k - 1)] / 2 >= code / 2))
        return false;
    }
    begin = end;
  }
  return begin == static_cast<int32_t>(codes.size());
}

MixedTree MixedTree::Load(ByteReader& in, std::span<const int32_t> categories, int max_depth) {
  MixedTree tree;
  tree.feature = in.I32s();
  tree.threshold = in.Floats();
  tree.missing = in.I32s();
  tree.codes = in.I32s();
  tree.codes_end = in.I32s();
  if (!in.ok()) return {};
  const auto bad = [&in](std::string_view why) {
    in.Fail(why);
    return MixedTree();
  };
  const size_t n = tree.feature.size();
  if (tree.threshold.size() != n || tree.missing.size() != n || tree.codes_end.size() != n) {
    return bad("isolation tree: nodes and splits differ in number");
  }
  for (size_t i = 0; i < n; ++i) {
    const int32_t f = tree.feature[i];
    if (f < -(1 << 24)) return bad("isolation tree: a leaf is too large");
    if (f >= static_cast<int64_t>(categories.size())) return bad("isolation tree: a feature is out of range");
    if (!std::isfinite(tree.threshold[i])) return bad("isolation tree: a threshold is not finite");
    const bool number = f >= 0 && categories[static_cast<size_t>(f)] == 0;
    const int32_t most = f < 0 ? kUnseen : number ? kApart : kRight;
    if (tree.missing[i] < kUnseen || tree.missing[i] > most) return bad("isolation tree: missing values go nowhere");
  }
  if (!tree.CodesAreSound(categories)) return bad("isolation tree: its categories are damaged");
  if (!tree.Derive(max_depth, categories)) return bad("isolation tree: it is no whole tree");
  return tree;
}

}  // namespace vedette::outlier
