// One isolation tree (Liu, Ting, Zhou, "Isolation forest", ICDM 2008; "Isolation-based anomaly detection", TKDD 2012).
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/rng.h"

namespace vedette::outlier {

/// Average path length of an unsuccessful search in a binary search tree of n keys: c(n) of the paper, with
/// H(i) = ln i + Euler's constant, c(2) = 1, c(n <= 1) = 0.
double AveragePathLength(int64_t n);

/// Nodes in preorder: a split's left child is the next node. The form that is saved: it names no child, so no bytes can
/// make it point outside or in a circle.
struct IsolationTree {
  std::vector<int32_t> feature;    ///< >= 0: the feature that is compared; < 0: a leaf of -feature sample rows
  std::vector<float> threshold;    ///< rows with value <= threshold go left; 0 at leaves
  std::vector<int32_t> right;      ///< derived: node of the right child; 0 at leaves
  std::vector<float> path_length;  ///< derived: mean over the sample rows below of depth(leaf) + c(size of leaf)
  int depth = 0;                   ///< derived: splits on the longest path

  /// Grows a tree on `sample`: psi rows x d features, feature-major (sample[j * psi + i]). `candidates` are the
  /// features that it may use. A node picks a feature that is not constant in it, uniformly, and a threshold uniform in
  /// its range; it ends at max_depth, at one row, or when all candidates are constant.
  static IsolationTree Grow(std::span<const float> sample, int64_t psi, std::vector<int32_t> candidates, int max_depth,
                            Rng& rng);

  void Save(ByteWriter& out) const;
  /// Fails the reader unless the bytes are one whole tree of at most max_depth over `features` features.
  static IsolationTree Load(ByteReader& in, int64_t features, int max_depth);

 private:
  void Derive();  // right, path_length, depth from feature and threshold, which must be well formed
};

}  // namespace vedette::outlier
