// One isolation tree over columns that may hold categories and missing values.
//
// A node picks a column that is not constant in it, uniformly, as in IsolationTree; a missing value is a value of its
// own.
//
// Categories, missing among them, are parted by a coin either at random, each by a coin of its own (a uniform random
// subset, as isotree does), or by rarity: a threshold uniform in the range of -log(rows of the node that have it) parts
// the rare ones from the common. Random subsets alone would part one rare category of k from the rest once in about 2^k
// splits, where a number as rare is parted by nearly every threshold.
//
// Numbers of which none is missing have a threshold uniform in their range. Where some are missing, a coin decides
// whether they are parted from all the others, or whether there is a threshold and they go to a side drawn by another
// coin ("missingness incorporated in attributes", Twala, Jones, Hand 2008, its three ways drawn instead of searched).
//
// What a node's rows never had, a missing value or a category, goes to the side with fewer of them (the left one of
// equals): it is rare, and rare is odd (isotree calls this "smallest"). A row takes one path, so paths explain as in
// any other tree. Sending it both ways by weight (Quinlan 1993; Cortes 2019 for these forests) would make a missing
// value the least odd of all values; here a row that is odd by what it lacks is to be found.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/rng.h"
#include "outlier/kernels/isolation_tree.h"

namespace vedette::outlier {

/// Nodes in preorder: a split's left child is the next node. Numbers are those of a FloatMap, categories codes from 0,
/// and NaN is missing, as everywhere here.
struct MixedTree {
  /// Where the missing go. kApart: left, and all others right.
  enum Side : int32_t { kUnseen = 0, kLeft = 1, kRight = 2, kApart = 3 };

  std::vector<int32_t> feature;  ///< >= 0: the column that is looked at; < 0: a leaf of -feature sample rows
  std::vector<float> threshold;  ///< numbers: rows with value <= threshold go left; 0 elsewhere
  std::vector<int32_t> missing;  ///< Side; kApart only for numbers, kUnseen at leaves
  std::vector<int32_t>
      codes;  ///< of all splits on categories: 2 code, plus 1 for those that go right; ascending in a node
  std::vector<int32_t> codes_end;  ///< node i's are [codes_end[i - 1], codes_end[i])
  std::vector<int32_t> right;      ///< derived: node of the right child; 0 at leaves
  std::vector<int32_t> count;      ///< derived: sample rows that came through
  std::vector<float> path_length;  ///< derived: mean over the sample rows below of depth(leaf) + c(size of leaf)

  /// `sample`: psi rows x categories.size() columns, column by column; categories[j] > 0 where column j holds codes.
  static MixedTree Grow(std::span<const float> sample, int64_t psi, std::span<const int32_t> categories,
                        std::vector<int32_t> candidates, int max_depth, Rng& rng);
  /// The same splits, and the rule above for what they have never seen.
  static MixedTree From(const IsolationTree& tree);

  /// derived: what a row needs on its way, in one place. Categories below 64 are bits, and their splits' threshold is
  /// NaN. A leaf's step stays where it is.
  struct Step {
    int32_t feature = 0, right = 0;
    float threshold = std::numeric_limits<float>::quiet_NaN();
    bool missing_left = false;
    uint64_t left_codes = 0;
  };
  std::vector<Step> steps;
  int32_t levels = 0;  ///< derived: of the deepest leaf

  bool GoesLeft(size_t node, float value, bool is_category) const;
  /// Child of a split that a row with these values falls into.
  size_t Next(size_t node, const float* row) const {
    const Step& step = steps[node];
    const float value = row[step.feature];
    bool left = value <= step.threshold;
    if (!left && !(value > step.threshold)) left = Otherwise(node, value);
    return left ? node + 1 : static_cast<size_t>(step.right);
  }
  /// path_length of the leaf that the row falls into.
  float PathLength(const float* row) const {
    size_t node = 0;
    while (feature[node] >= 0) node = Next(node, row);
    return path_length[node];
  }
  /// Adds the path_length of kTogether rows to their sums: a step of one waits for nothing of the others, and none is
  /// guessed. rows: row by row. codes: their categories, each below 64, and 0 where there is a number or nothing.
  static constexpr size_t kTogether = 8;
  void AddPathLengths(const float* rows, const uint8_t* codes, size_t columns, double* sums) const;

  void Save(ByteWriter& out) const;
  /// Fails the reader unless the bytes are one whole tree of at most max_depth over these columns.
  static MixedTree Load(ByteReader& in, std::span<const int32_t> categories, int max_depth);

 private:
  bool Derive(int max_depth, std::span<const int32_t> categories);  // false: no whole tree
  void MakeSteps(std::span<const int32_t> categories);
  /// Of a missing value, or a category.
  bool Otherwise(size_t node, float value) const {
    const Step& step = steps[node];
    if (std::isnan(value)) return step.missing_left;
    if (value >= 0 && value < 64) return (step.left_codes >> static_cast<int>(value) & 1) != 0;
    return GoesLeft(node, value, true);
  }
  bool CodesAreSound(std::span<const int32_t> categories) const;
};

/// Adds to each row's sum its path_length in all trees. rows: row by row, as the trees see them.
void AddPathLengths(std::span<const MixedTree> trees, std::span<const float> rows, std::span<const int32_t> categories,
                    std::span<double> sums);

}  // namespace vedette::outlier
