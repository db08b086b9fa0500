// What each split of an isolation tree takes off the path that was to be expected of a row (see iforest.cc, Explain),
// for many rows at once.
//
// Path lengths are rounded to multiples of 2^-18 first. Sums of these are exact in double, and in 32-bit integers over
// 32 trees: parts have the same bits in whatever order they are added, row by row or by leaves.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "outlier/kernels/aligned.h"
#include "outlier/kernels/float_map.h"
#include "outlier/kernels/isolation_tree.h"
#include "outlier/kernels/packed_forest.h"

namespace vedette::outlier {

/// A split's part: what is above less what is below, both rounded.
inline double PathPart(float above, float below) {
  return RoundedLength(above) - RoundedLength(below);
}

/// parts[row * features + f] += path_length of the split less that of the child, for every split on f on the row's
/// path. `rows`: count x features as FloatMap::Map gives them, row by row.
void AddPathParts(const IsolationTree& tree, const float* rows, int64_t count, int64_t features, double* parts);

/// The parts of every leaf of a packed forest: a row adds those of the leaves that it ends in.
class LeafParts {
 public:
  static constexpr int64_t kMaxFeatures = 64;             ///< beyond, adding whole leaves is slower than walking
  static constexpr int64_t kMaxWords = int64_t{1} << 23;  ///< of 4 bytes
  /// Whether the forest is one whose leaves are worth it.
  static bool Fits(const PackedForest& packed, int64_t trees, int64_t features);
  /// Needs Fits.
  LeafParts(std::span<const IsolationTree> trees, const PackedForest& packed, int64_t features);

  /// parts[f * rows + row] = the sum over all trees, as AddPathParts gives it, of `rows` rows; groups as
  /// PackedForest::PathLengths has them, and lengths[row] what that gives. `packed` is the one of the constructor.
  void Sum(const PackedForest& packed, const float* groups, int64_t rows, double* parts, double* lengths) const;
  /// means(i, f) = the mean over the trees for row i of X, whose values are all there, and lengths[i] the mean length
  /// of its paths; in blocks and in parallel.
  absl::Status Means(const FloatMap& map, const PackedForest& packed, MatrixView X, Matrix& means,
                     std::span<double> lengths, const Context& ctx) const;

 private:
  static constexpr int64_t kLanes = 8;
  void Fill(const IsolationTree& tree, size_t node, int64_t slot, int level, int32_t* parts, int32_t* out) const;
  template <int kVectors>
  void Add(int64_t first, int64_t count, const int32_t* leaves, int64_t rows, int64_t padded, int32_t* sums) const;

  int64_t trees_, features_, width_;  // width: features, rounded up to a multiple of kLanes
  int depth_;
  AlignedArray<int32_t> parts_;  // [tree][leaf][width], in units of 2^-18
};

}  // namespace vedette::outlier
