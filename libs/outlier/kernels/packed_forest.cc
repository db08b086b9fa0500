#include "outlier/kernels/packed_forest.h"

#include <absl/container/fixed_array.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <numeric>

#include "outlier/kernels/processor.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace vedette::outlier {
namespace {

constexpr int64_t kLanes = 8;
constexpr int kGroupsInFlight = 8;
constexpr int64_t kStepRows = kLanes * kGroupsInFlight;
constexpr int64_t kBlockBytes =
    24 << 10;  // of the row values: leaves room for one tree (3 KiB at depth 8) and the sums
constexpr int64_t kMaxBlockRows = 1024;

int32_t Fixed(float length) {
  return static_cast<int32_t>(std::lround(std::ldexp(static_cast<double>(length), PackedForest::kFractionBits)));
}

}  // namespace

void ForestKernelPortable(const ForestBlock& b) {
  const int64_t nodes = int64_t{1} << b.depth;
  for (int64_t t = 0; t < b.tree_count; ++t) {
    const int32_t* tree = b.trees + t * 3 * nodes;
    for (int64_t r = 0; r < b.group_count * kLanes; ++r) {
      const float* row = b.groups + r / kLanes * b.features * kLanes + r % kLanes;
      int64_t node = 1;
      for (int level = 0; level < b.depth; ++level) {
        node = 2 * node + (row[tree[nodes + node]] > std::bit_cast<float>(tree[node]) ? 1 : 0);
      }
      if (b.leaves != nullptr) {
        b.leaves[t * b.group_count * kLanes + r] = static_cast<int32_t>(node - nodes);
      } else {
        b.sums[r] += tree[2 * nodes + node - nodes];
      }
    }
  }
}

namespace {

/// Of one row: trees side by side, so that none waits for its own next node alone. Tables of whole trees, as the kernels
/// for many rows read them, would cost more than the few nodes that one row looks at.
template <int kTrees>
inline void WalkTrees(const float* row, const int32_t* trees, int64_t nodes, int depth, int64_t* leaves) {
  int64_t node[kTrees];
  for (int64_t& n : node) n = 1;
  for (int level = 0; level < depth; ++level) {
#pragma GCC unroll 8
    for (int t = 0; t < kTrees; ++t) {
      const int32_t* const tree = trees + t * 3 * nodes;
      node[t] = 2 * node[t] + (row[tree[nodes + node[t]]] > std::bit_cast<float>(tree[node[t]]) ? 1 : 0);
    }
  }
  for (int t = 0; t < kTrees; ++t) leaves[t] = node[t] - nodes;
}

/// The same, with what each split takes off the length `expected`: sums[8 f ... 8 f + 7] += that of the splits on feature
/// f, a tree to each, so that none waits for another's. Returns the lengths' sum.
template <int kTrees>
inline int64_t WalkParts(const float* row, const int32_t* trees, const int32_t* expected, int depth, int64_t* sums) {
  const int64_t nodes = int64_t{1} << depth;
  int64_t node[kTrees];
  int32_t above[kTrees];
  for (int t = 0; t < kTrees; ++t) {
    node[t] = 1;
    above[t] = expected[t * 2 * nodes + 1];
  }
  for (int level = 0; level < depth; ++level) {
    int32_t offset[kTrees], part[kTrees];
#pragma GCC unroll 8
    for (int t = 0; t < kTrees; ++t) {
      const int32_t* const tree = trees + t * 3 * nodes;
      offset[t] = tree[nodes + node[t]];
      node[t] = 2 * node[t] + (row[offset[t]] > std::bit_cast<float>(tree[node[t]]) ? 1 : 0);
      const int32_t here = expected[t * 2 * nodes + node[t]];
      part[t] = above[t] - here;
      above[t] = here;
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTrees; ++t) sums[offset[t] + t] += part[t];
  }
  int64_t total = 0;
  for (int t = 0; t < kTrees; ++t) total += trees[t * 3 * nodes + nodes + node[t]];
  return total;
}

constexpr int kTreesAtOnce = 8;

/// What a kernel does, for the first `rows` rows alone.
void WalkFew(const ForestBlock& b, int64_t rows) {
  constexpr int kTrees = kTreesAtOnce;
  const int64_t nodes = int64_t{1} << b.depth, padded = b.group_count * kLanes;
  for (int64_t r = 0; r < rows; ++r) {
    const float* const row = b.groups + r / kLanes * b.features * kLanes + r % kLanes;
    for (int64_t t = 0, count; t < b.tree_count; t += count) {
      const int32_t* const trees = b.trees + t * 3 * nodes;
      int64_t leaves[kTrees];
      count = b.tree_count - t >= kTrees ? kTrees : 1;
      count == kTrees ? WalkTrees<kTrees>(row, trees, nodes, b.depth, leaves)
                      : WalkTrees<1>(row, trees, nodes, b.depth, leaves);
      for (int64_t k = 0; k < count; ++k) {
        if (b.leaves != nullptr) {
          b.leaves[(t + k) * padded + r] = static_cast<int32_t>(leaves[k]);
        } else {
          b.sums[r] += trees[k * 3 * nodes + 2 * nodes + leaves[k]];
        }
      }
    }
  }
}

}  // namespace

#if defined(__AVX2__)
namespace {

// Eight groups in flight hide the latency of the gathers.
template <int kGroups, bool kLeaves>
inline void WalkAvx2(const float* x, int64_t stride, const int32_t* tree, int depth, int32_t* out) {
  const int64_t nodes = int64_t{1} << depth;
  const auto* threshold = reinterpret_cast<const float*>(tree);
  const int32_t* offset = tree + nodes;
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i two = _mm256_set1_epi32(2);
  __m256i node[kGroups];

  const __m256 root = _mm256_broadcast_ss(threshold + 1);
  for (int g = 0; g < kGroups; ++g) {
    const __m256 v = _mm256_load_ps(x + g * stride + offset[1]);
    node[g] = _mm256_sub_epi32(two, _mm256_castps_si256(_mm256_cmp_ps(v, root, _CMP_GT_OQ)));
  }
  // Nodes 2..7, then 8..15: a table of eight fits in a register, and the permutation looks at the low three bits only.
  for (int table = 0; table < 2; ++table) {
    const __m256 t8 = _mm256_load_ps(threshold + 8 * table);
    const __m256i o8 = _mm256_load_si256(reinterpret_cast<const __m256i*>(offset + 8 * table));
    for (int level = table; level < 2; ++level) {
      for (int g = 0; g < kGroups; ++g) {
        const __m256 t = _mm256_permutevar8x32_ps(t8, node[g]);
        const __m256i o = _mm256_add_epi32(_mm256_permutevar8x32_epi32(o8, node[g]), lane);
        const __m256 v = _mm256_i32gather_ps(x + g * stride, o, 4);
        node[g] =
            _mm256_sub_epi32(_mm256_add_epi32(node[g], node[g]), _mm256_castps_si256(_mm256_cmp_ps(v, t, _CMP_GT_OQ)));
      }
    }
  }
  if (depth > 4) {  // nodes 16..31: two tables, chosen by bit 3
    const auto table = [](const int32_t* at) { return _mm256_load_ps(reinterpret_cast<const float*>(at)); };
    const __m256 t_low = table(tree + 16), t_high = table(tree + 24);
    const __m256 o_low = table(offset + 16), o_high = table(offset + 24);
    for (int g = 0; g < kGroups; ++g) {
      const __m256 high = _mm256_castsi256_ps(_mm256_slli_epi32(node[g], 28));
      const auto look = [&](__m256 a, __m256 b) {
        return _mm256_blendv_ps(_mm256_permutevar8x32_ps(a, node[g]), _mm256_permutevar8x32_ps(b, node[g]), high);
      };
      const __m256i o = _mm256_add_epi32(_mm256_castps_si256(look(o_low, o_high)), lane);
      const __m256 v = _mm256_i32gather_ps(x + g * stride, o, 4);
      node[g] = _mm256_sub_epi32(_mm256_add_epi32(node[g], node[g]),
                                 _mm256_castps_si256(_mm256_cmp_ps(v, look(t_low, t_high), _CMP_GT_OQ)));
    }
  }
  for (int level = 5; level < depth; ++level) {
    for (int g = 0; g < kGroups; ++g) {
      const __m256 t = _mm256_i32gather_ps(threshold, node[g], 4);
      const __m256i o = _mm256_add_epi32(_mm256_i32gather_epi32(offset, node[g], 4), lane);
      const __m256 v = _mm256_i32gather_ps(x + g * stride, o, 4);
      node[g] =
          _mm256_sub_epi32(_mm256_add_epi32(node[g], node[g]), _mm256_castps_si256(_mm256_cmp_ps(v, t, _CMP_GT_OQ)));
    }
  }
  for (int g = 0; g < kGroups; ++g) {
    auto* sum = reinterpret_cast<__m256i*>(out + g * kLanes);
    if constexpr (kLeaves) {
      _mm256_store_si256(sum, _mm256_sub_epi32(node[g], _mm256_set1_epi32(static_cast<int32_t>(nodes))));
      continue;
    }
    const __m256i length = _mm256_i32gather_epi32(tree + nodes, node[g], 4);  // tree + 2 nodes, less the nodes above
    _mm256_store_si256(sum, _mm256_add_epi32(_mm256_load_si256(sum), length));
  }
}

}  // namespace

void ForestKernelAvx2(const ForestBlock& b) {
  const int64_t words = int64_t{3} << b.depth;
  const int64_t stride = b.features * kLanes;
  for (int64_t t = 0; t < b.tree_count; ++t) {
    for (int64_t g = 0; g < b.group_count; g += kGroupsInFlight) {
      const float* x = b.groups + g * stride;
      if (b.leaves != nullptr) {
        int32_t* leaves = b.leaves + (t * b.group_count + g) * kLanes;
        WalkAvx2<kGroupsInFlight, true>(x, stride, b.trees + t * words, b.depth, leaves);
      } else {
        WalkAvx2<kGroupsInFlight, false>(x, stride, b.trees + t * words, b.depth, b.sums + g * kLanes);
      }
    }
  }
}
#else
void ForestKernelAvx2(const ForestBlock& block) { ForestKernelPortable(block); }
#endif

std::span<const ForestKernel> ForestKernels() {
  static const std::vector<ForestKernel> kernels = [] {
    std::vector<ForestKernel> found = {ForestKernelPortable};
#if defined(__AVX2__)
    found.push_back(ForestKernelAvx2);
#endif
    if (HasAvx512()) found.push_back(ForestKernelAvx512);
    return found;
  }();
  return kernels;
}

PackedForest::PackedForest(std::span<const IsolationTree> trees, int64_t features)
    : features_(features), trees_(static_cast<int64_t>(trees.size())), depth_(kMinDepth) {
  for (const IsolationTree& tree : trees) depth_ = std::max(depth_, tree.depth);
  if (depth_ > kMaxPerfectDepth) {
    deep_.assign(trees.begin(), trees.end());
    return;
  }
  const size_t words = size_t{3} << depth_;
  words_ = AlignedArray<int32_t>(static_cast<int64_t>(words * trees.size()));
  expected_ = AlignedArray<int32_t>(static_cast<int64_t>((size_t{2} << depth_) * trees.size()));
  for (size_t t = 0; t < trees.size(); ++t) {
    int32_t* out = words_.get() + t * words;
    out[0] = out[words / 3] = 0;  // heap order starts at 1
    int32_t* const expected = expected_.get() + (t * 2 << depth_);
    expected[0] = 0;
    Fill(trees[t], 0, 1, 0, out, expected);
  }
}

void PackedForest::Fill(const IsolationTree& tree, size_t node, int64_t slot, int level, int32_t* out,
                        int32_t* expected) const {
  expected[slot] = static_cast<int32_t>(std::ldexp(RoundedLength(tree.path_length[node]), kFractionBits));
  const int64_t nodes = int64_t{1} << depth_;
  const bool leaf = tree.feature[node] < 0;
  if (level == depth_) {
    out[2 * nodes + slot - nodes] = Fixed(tree.path_length[node]);
    return;
  }
  out[slot] = std::bit_cast<int32_t>(leaf ? FLT_MAX : tree.threshold[node]);  // values end at FLT_MAX: always left
  out[nodes + slot] = leaf ? 0 : static_cast<int32_t>(tree.feature[node] * kLanes);
  Fill(tree, leaf ? node : node + 1, 2 * slot, level + 1, out, expected);
  Fill(tree, leaf ? node : tree.right[node], 2 * slot + 1, level + 1, out, expected);
}

int64_t PackedForest::block_rows() const {
  const int64_t rows = kBlockBytes / (static_cast<int64_t>(sizeof(float)) * std::max<int64_t>(1, features_));
  return std::clamp<int64_t>(rows / kStepRows * kStepRows, kStepRows, kMaxBlockRows);
}

void PackedForest::PathLengths(const float* groups, int64_t rows, std::span<double> lengths,
                               ForestKernel kernel) const {
  if (!deep_.empty()) return DeepPathLengths(groups, rows, lengths);
  const bool few = kernel == nullptr && rows <= kFewRows;
  if (kernel == nullptr) kernel = ForestKernels().back();
  alignas(64) int32_t sums[kMaxBlockRows];
  std::fill(lengths.begin(), lengths.begin() + rows, 0.0);
  const int64_t padded = (rows + kStepRows - 1) / kStepRows * kStepRows;
  int64_t total[kMaxBlockRows];
  std::fill_n(total, rows, 0);
  for (int64_t t = 0; t < trees_; t += kTreesPerSum) {
    std::fill_n(sums, padded, 0);
    ForestBlock block;
    block.groups = groups;
    block.group_count = padded / kLanes;
    block.features = features_;
    block.trees = words_.get() + t * (int64_t{3} << depth_);
    block.tree_count = std::min(kTreesPerSum, trees_ - t);
    block.depth = depth_;
    block.sums = sums;
    few ? WalkFew(block, rows) : kernel(block);
    for (int64_t r = 0; r < rows; ++r) total[r] += sums[r];
  }
  for (int64_t r = 0; r < rows; ++r) lengths[r] = MeanLength(total[r]);
}

double PackedForest::MeanLength(int64_t total) const {
  return static_cast<double>(total) * (std::ldexp(1.0, -kFractionBits) / static_cast<double>(trees_));
}

void PackedForest::AddLengths(const int32_t* leaves, int64_t rows, int64_t first, int64_t count,
                              int64_t* totals) const {
  const int64_t padded = (rows + kStepRows - 1) / kStepRows * kStepRows, nodes = int64_t{1} << depth_;
  for (int64_t t = 0; t < count; ++t) {
    const int32_t* const length = words_.get() + (first + t) * 3 * nodes + 2 * nodes;
    for (int64_t r = 0; r < rows; ++r) totals[r] += length[leaves[t * padded + r]];
  }
}

void PackedForest::PathParts(const float* groups, int64_t rows, double* parts, double* lengths) const {
  const int64_t nodes = int64_t{1} << depth_;
  const double unit = std::ldexp(1.0, -kFractionBits);
  absl::FixedArray<int64_t, 256> sums(static_cast<size_t>(features_ * kLanes));
  for (int64_t r = 0; r < rows; ++r) {
    const float* const row = groups + r / kLanes * features_ * kLanes + r % kLanes;
    std::fill(sums.begin(), sums.end(), 0);
    int64_t total = 0, t = 0;
    const int32_t *trees = words_.get(), *expected = expected_.get();
    for (; t + kTreesAtOnce <= trees_; t += kTreesAtOnce) {
      total += WalkParts<kTreesAtOnce>(row, trees + t * 3 * nodes, expected + t * 2 * nodes, depth_, sums.data());
    }
    for (; t < trees_; ++t) {
      total += WalkParts<1>(row, trees + t * 3 * nodes, expected + t * 2 * nodes, depth_, sums.data());
    }
    lengths[r] = MeanLength(total);
    for (int64_t f = 0; f < features_; ++f) {
      const int64_t* const own = sums.data() + f * kLanes;
      parts[f * rows + r] = static_cast<double>(std::accumulate(own, own + kLanes, int64_t{0})) * unit;
    }
  }
}

void PackedForest::Leaves(const float* groups, int64_t rows, int64_t first, int64_t count, int32_t* leaves,
                          ForestKernel kernel) const {
  const bool few = kernel == nullptr && rows <= kFewRows;
  if (kernel == nullptr) kernel = ForestKernels().back();
  ForestBlock block;
  block.groups = groups;
  block.group_count = (rows + kStepRows - 1) / kStepRows * kStepRows / kLanes;
  block.features = features_;
  block.trees = words_.get() + first * (int64_t{3} << depth_);
  block.tree_count = count;
  block.depth = depth_;
  block.leaves = leaves;
  few ? WalkFew(block, rows) : kernel(block);
}

void PackedForest::DeepPathLengths(const float* groups, int64_t rows, std::span<double> lengths) const {
  int64_t total[kMaxBlockRows] = {};
  for (const IsolationTree& tree : deep_) {
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = groups + r / kLanes * features_ * kLanes + r % kLanes;
      size_t node = 0;
      while (tree.feature[node] >= 0) {
        node = row[tree.feature[node] * kLanes] <= tree.threshold[node] ? node + 1 : tree.right[node];
      }
      total[r] += Fixed(tree.path_length[node]);
    }
  }
  for (int64_t r = 0; r < rows; ++r) lengths[r] = MeanLength(total[r]);
}

}  // namespace vedette::outlier
