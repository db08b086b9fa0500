#include "outlier/kernels/path_parts.h"

#include <absl/container/fixed_array.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "outlier/parallel.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kFewRows = 16;    // for which no table is made
constexpr int64_t kRowsAtOnce = 4;  // side by side, so that they do not wait for their own next node alone

/// A node without branches: [0] where the value is not above the threshold, [1] where it is. A leaf leads to itself.
struct Step {
  float threshold = 0;
  int32_t feature = 0;
  int32_t next[2] = {0, 0};
  double part[2] = {0, 0};
};

void AddOne(const IsolationTree& tree, const float* row, double* parts) {
  size_t node = 0;
  while (tree.feature[node] >= 0) {
    const auto f = static_cast<size_t>(tree.feature[node]);
    const size_t child = row[f] <= tree.threshold[node] ? node + 1 : static_cast<size_t>(tree.right[node]);
    parts[f] += PathPart(tree.path_length[node], tree.path_length[child]);
    node = child;
  }
}

std::vector<Step> StepsOf(const IsolationTree& tree) {
  std::vector<Step> steps(tree.feature.size());
  for (size_t node = 0; node < steps.size(); ++node) {
    Step& step = steps[node];
    const auto here = static_cast<int32_t>(node);
    if (tree.feature[node] < 0) {
      step.next[0] = step.next[1] = here;
      continue;
    }
    step.threshold = tree.threshold[node];
    step.feature = tree.feature[node];
    step.next[0] = here + 1;
    step.next[1] = tree.right[node];
    for (int side = 0; side < 2; ++side) {
      step.part[side] = PathPart(tree.path_length[node], tree.path_length[static_cast<size_t>(step.next[side])]);
    }
  }
  return steps;
}

}  // namespace

void AddPathParts(const IsolationTree& tree, const float* rows, int64_t count, int64_t features, double* parts) {
  int64_t i = 0;
  if (count >= kFewRows) {
    const std::vector<Step> steps = StepsOf(tree);
    for (; i + kRowsAtOnce <= count; i += kRowsAtOnce) {
      int32_t node[kRowsAtOnce] = {};
      for (int level = 0; level < tree.depth; ++level) {
        for (int64_t r = 0; r < kRowsAtOnce; ++r) {
          const Step& step = steps[static_cast<size_t>(node[r])];
          const int64_t at = (i + r) * features + step.feature;
          const int above = rows[at] <= step.threshold ? 0 : 1;
          parts[at] += step.part[above];  // 0 at a leaf
          node[r] = step.next[above];
        }
      }
    }
  }
  for (; i < count; ++i) AddOne(tree, rows + i * features, parts + i * features);
}

bool LeafParts::Fits(const PackedForest& packed, int64_t trees, int64_t features) {
  const int64_t width = (features + kLanes - 1) / kLanes * kLanes;
  return packed.perfect() && features <= kMaxFeatures && trees <= kMaxWords / (width << packed.depth());
}

LeafParts::LeafParts(std::span<const IsolationTree> trees, const PackedForest& packed, int64_t features)
    : trees_(std::ssize(trees)),
      features_(features),
      width_((features + kLanes - 1) / kLanes * kLanes),
      depth_(packed.depth()),
      parts_((trees_ * width_) << depth_) {
  std::vector<int32_t> parts(static_cast<size_t>(width_), 0);
  for (int64_t t = 0; t < trees_; ++t) {
    Fill(trees[static_cast<size_t>(t)], 0, 0, 0, parts.data(), parts_.get() + ((t * width_) << depth_));
  }
}

/// Writes the leaves below a node. Of the slots below an early leaf, rows end in the leftmost.
void LeafParts::Fill(const IsolationTree& tree, size_t node, int64_t slot, int level, int32_t* parts,
                     int32_t* out) const {
  if (tree.feature[node] < 0) {
    std::copy_n(parts, width_, out + (slot << (depth_ - level)) * width_);
    return;
  }
  int32_t& part = parts[tree.feature[node]];
  const int32_t before = part;
  for (int64_t side = 0; side < 2; ++side) {
    const size_t child = side == 0 ? node + 1 : static_cast<size_t>(tree.right[node]);
    part = before + static_cast<int32_t>(std::ldexp(PathPart(tree.path_length[node], tree.path_length[child]),
                                                    PackedForest::kFractionBits));
    Fill(tree, child, 2 * slot + side, level + 1, parts, out);
  }
  part = before;
}

typedef int32_t Ints __attribute__((vector_size(32), may_alias));

/// Trees by fours: a row's sums are loaded and stored once for four leaves.
template <int kVectors>
void LeafParts::Add(int64_t first, int64_t count, const int32_t* leaves, int64_t rows, int64_t padded,
                    int32_t* sums) const {
  constexpr int64_t kTrees = 4, kWidth = kVectors * kLanes;
  int64_t t = 0;
  const auto leaf = [&](int64_t tree, int64_t row) {
    const int64_t place = ((first + tree) << depth_) + leaves[tree * padded + row];
    return reinterpret_cast<const Ints*>(parts_.get() + place * kWidth);
  };
  for (; t + kTrees <= count; t += kTrees) {
    for (int64_t r = 0; r < rows; ++r) {
      auto* sum = reinterpret_cast<Ints*>(sums + r * kWidth);
      const Ints *a = leaf(t, r), *b = leaf(t + 1, r), *c = leaf(t + 2, r), *d = leaf(t + 3, r);
      for (int v = 0; v < kVectors; ++v) sum[v] += (a[v] + b[v]) + (c[v] + d[v]);
    }
  }
  for (; t < count; ++t) {
    for (int64_t r = 0; r < rows; ++r) {
      auto* sum = reinterpret_cast<Ints*>(sums + r * kWidth);
      const Ints* a = leaf(t, r);
      for (int v = 0; v < kVectors; ++v) sum[v] += a[v];
    }
  }
}

void LeafParts::Sum(const PackedForest& packed, const float* groups, int64_t rows, double* parts,
                    double* lengths) const {
  using AddFn = void (LeafParts::*)(int64_t, int64_t, const int32_t*, int64_t, int64_t, int32_t*) const;
  constexpr AddFn kAdds[] = {&LeafParts::Add<1>, &LeafParts::Add<2>, &LeafParts::Add<3>, &LeafParts::Add<4>,
                             &LeafParts::Add<5>, &LeafParts::Add<6>, &LeafParts::Add<7>, &LeafParts::Add<8>};
  const double unit = std::ldexp(1.0, -PackedForest::kFractionBits);
  const AddFn add = kAdds[width_ / kLanes - 1];
  const int64_t padded = (rows + 63) / 64 * 64;
  constexpr int64_t kTrees = PackedForest::kTreesPerSum;
  const AlignedArray<int32_t> leaves(kTrees * padded), sums(rows * width_);
  std::fill_n(parts, rows * features_, 0.0);
  absl::FixedArray<int64_t, 128> totals(static_cast<size_t>(rows), 0);
  for (int64_t t = 0; t < trees_; t += kTrees) {
    const int64_t count = std::min(kTrees, trees_ - t);
    packed.Leaves(groups, rows, t, count, leaves.get());
    packed.AddLengths(leaves.get(), rows, t, count, totals.data());
    std::fill_n(sums.get(), sums.size(), 0);
    (this->*add)(t, count, leaves.get(), rows, padded, sums.get());
    for (int64_t f = 0; f < features_; ++f) {
      const int32_t* own = sums.get() + f;
      for (int64_t r = 0; r < rows; ++r) {
        parts[f * rows + r] += static_cast<double>(own[r * width_]) * unit;
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) lengths[r] = packed.MeanLength(totals[static_cast<size_t>(r)]);
}

absl::Status LeafParts::Means(const FloatMap& map, const PackedForest& packed, MatrixView X, Matrix& means,
                              std::span<double> lengths, const Context& ctx) const {
  const double weight = 1.0 / static_cast<double>(trees_);
  const int64_t block = packed.block_rows();
  return ParallelBlocks(ctx, X.rows, block, [&](int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    const AlignedArray<float> groups(block * X.cols);
    const AlignedArray<double> parts(rows * X.cols);
    map.MapGroups(X, begin, rows, groups.get());
    const int64_t filled = (rows + 7) / 8 * 8 * X.cols, padded = PackedForest::PaddedRows(rows) * X.cols;
    std::fill(groups.get() + filled, groups.get() + padded, 0.0F);
    Sum(packed, groups.get(), rows, parts.get(), lengths.data() + begin);
    for (int64_t j = 0; j < X.cols; ++j) {
      double* out = means.col(j).data() + begin;
      for (int64_t i = 0; i < rows; ++i) out[i] = weight * parts[j * rows + i];
    }
  });
}

}  // namespace vedette::outlier
