// Trees laid out for scoring: the mean path length of many rows at once.
//
// A tree of 256 rows is at most 8 splits deep. Each tree is filled up to a perfect binary tree (below an early leaf:
// splits that always go left, over copies of the leaf's value), so that every row takes the same number of steps and
// nothing branches. Nodes lie in heap order, node i's children are 2i and 2i + 1 (see the picture in README.md):
//     threshold[2^depth]  offset[2^depth] (= 8 * feature)  length[2^depth] (of the leaves, fixed point)
// Rows lie in groups of 8, group[feature][lane], so that one gather fetches each lane's own feature. All kernels add
// the same integers, hence give the same bits. Forests deeper than 11 (more than 2048 sample rows) walk the plain
// nodes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "outlier/kernels/aligned.h"
#include "outlier/kernels/isolation_tree.h"

namespace vedette::outlier {

/// What a kernel is given: groups of 8 rows, and some perfect trees of one depth. It adds each row's path lengths over
/// all the trees to sums[row], or says in which leaf of each tree the row ends.
struct ForestBlock {
  const float* groups = nullptr;  ///< [group][feature][8], 32-byte aligned
  int64_t group_count = 0;        ///< a multiple of 8
  int64_t features = 0;
  const int32_t* trees = nullptr;  ///< each 3 * 2^depth words, 64-byte aligned
  int64_t tree_count = 0;
  int depth = 0;              ///< >= 4
  int32_t* sums = nullptr;    ///< group_count * 8
  int32_t* leaves = nullptr;  ///< when not null: [tree][group_count * 8], leaves from 0 on go there instead
};

/// A length in units of 2^-kFractionBits, rounded to the nearest, ties to even: exact in double.
inline double RoundedLength(float length) {
  constexpr double kRound = 0x1.8p+34;  // the last digit of a double of this size is 2^-18
  return static_cast<double>(length) + kRound - kRound;
}

using ForestKernel = void (*)(const ForestBlock&);

void ForestKernelPortable(const ForestBlock& block);
void ForestKernelAvx2(const ForestBlock& block);
void ForestKernelAvx512(const ForestBlock& block);
/// Kernels that this processor can run, the fastest last. (The first one is always the portable one.)
std::span<const ForestKernel> ForestKernels();

class PackedForest {
 public:
  static constexpr int kMinDepth = 4, kMaxPerfectDepth = 11;
  static constexpr int kFractionBits = 18;  ///< of a path length; 64 trees of length < 128 fit in an int32
  static constexpr int64_t kTreesPerSum = 32;
  static constexpr int64_t kFewRows = 12;  ///< that walk trees side by side, each row alone

  PackedForest() = default;
  /// Keeps a reference to `trees` only for the call, unless they are deep: then it copies them.
  PackedForest(std::span<const IsolationTree> trees, int64_t features);

  /// Rows that are best scored together, a multiple of 64: their values stay in the first-level cache.
  int64_t block_rows() const;
  /// Rows that there must be values for, finite ones, where `rows` are asked for without a kernel's being named: with
  /// one, always up to a multiple of 64.
  static int64_t PaddedRows(int64_t rows) { return rows <= kFewRows ? (rows + 7) / 8 * 8 : (rows + 63) / 64 * 64; }
  /// lengths[i] = mean path length over the trees of row i of `groups` (FloatMap::MapGroups of `rows` rows, and
  /// more up to PaddedRows). rows <= block_rows(). `kernel` null: the fastest.
  void PathLengths(const float* groups, int64_t rows, std::span<double> lengths, ForestKernel kernel = nullptr) const;

  /// Whether Leaves works: not for deep forests.
  bool perfect() const { return trees_ > 0 && deep_.empty(); }
  int depth() const { return depth_; }
  /// leaves[t * padded + r], where padded is `rows` rounded up to a multiple of 64: the leaf, in [0, 2^depth), of trees
  /// first ... first + count - 1 that row r ends in. Below an early leaf it is the leftmost one.
  void Leaves(const float* groups, int64_t rows, int64_t first, int64_t count, int32_t* leaves,
              ForestKernel kernel = nullptr) const;
  /// totals[r] += the lengths of the paths to these leaves, of `count` trees from `first` on, in units of
  /// 2^-kFractionBits: over all trees, PathLengths' is MeanLength of it.
  void AddLengths(const int32_t* leaves, int64_t rows, int64_t first, int64_t count, int64_t* totals) const;
  double MeanLength(int64_t total) const;

  /// Of at most kFewRows rows (groups with PaddedRows of them): parts[f * rows + r] = the sum over all trees of what the
  /// splits on feature f on row r's paths took off its expected length, with the bits of path_parts.h, and lengths[r] as
  /// PathLengths has it. Only where perfect().
  void PathParts(const float* groups, int64_t rows, double* parts, double* lengths) const;

 private:
  void Fill(const IsolationTree& tree, size_t node, int64_t slot, int level, int32_t* out, int32_t* expected) const;
  void DeepPathLengths(const float* groups, int64_t rows, std::span<double> lengths) const;

  int64_t features_ = 0;
  int64_t trees_ = 0;
  int depth_ = 0;
  AlignedArray<int32_t> words_;
  AlignedArray<int32_t> expected_;  // [tree][2^(depth + 1)], heap order: the path lengths expected at each node, rounded
  std::vector<IsolationTree> deep_;
};

}  // namespace vedette::outlier
