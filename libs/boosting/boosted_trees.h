// Trees that boosting has grown, in a form of our own: scored, explained, saved and checked without the library that
// grew them.
//
// A row's output is the sum of one leaf per tree, in double, in the order of the trees. Rows are float32 and finite.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace vedette::boosting {

/// Nodes in preorder: a split's left child is the next node. No bytes can make it point outside or in a circle.
struct BoostedTree {
  std::vector<int32_t> feature;  ///< what a split compares; -1 at a leaf
  std::vector<float> value;      ///< splits: rows with value < this go left; leaves: what they add
  std::vector<float> cover;      ///< sum of the training rows' second derivatives that came through
  std::vector<int32_t> right;    ///< derived: node of the right child; 0 at leaves
  std::vector<double> mean;      ///< derived: of the leaves below, weighted by cover
};

class BoostedTrees {
 public:
  static constexpr int64_t kMostTrees = 1000;
  static constexpr int kDeepest = 10;

  /// Takes a tree whose feature, value and cover are set. False when they are no whole tree of at most kDeepest levels
  /// over `features` features with finite numbers; the tree is not taken then.
  bool Add(BoostedTree tree, int64_t features);
  size_t size() const { return trees_.size(); }

  /// The sum of the row's leaves.
  double Output(const float* row) const;
  /// Adds to parts[f] what the splits on feature f changed on the row's paths: the difference of the means of the node
  /// and of the child that the row falls into (Saabas 2014). Output = Base() + sum of parts.
  void AddParts(const float* row, std::span<double> parts) const;
  /// Output of a row of which nothing is known.
  double Base() const;
  /// used[f] is set to 1 for features that a split looks at.
  void MarkUsed(std::span<uint8_t> used) const;
  /// Renames the features: f becomes names[f].
  void Rename(std::span<const int32_t> names);

  void Save(ByteWriter& out) const;
  void Load(ByteReader& in, int64_t features);

 private:
  std::vector<BoostedTree> trees_;
};

}  // namespace vedette::boosting
