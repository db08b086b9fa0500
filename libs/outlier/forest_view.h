// A fitted forest as plain arrays, for those who explain it: no kernel's layout, no saved form.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/matrix.h"

namespace vedette::outlier {

/// One tree, parallel arrays; node 0 is the root, parents come before their children.
struct TreeView {
  std::vector<int32_t> feature;   ///< what a split compares; < 0 at a leaf
  std::vector<int32_t> left;      ///< child of rows with value <= threshold; -1 at a leaf
  std::vector<int32_t> right;     ///< child of the others; -1 at a leaf
  std::vector<double> threshold;  ///< in the units of ForestSource::ForestRows; NaN at splits on categories
  std::vector<double> cover;      ///< sample rows that came through the node when the tree was grown
  std::vector<double> value;      ///< leaves: depth + c(cover); splits: their children's mean, weighted by cover
  std::vector<uint8_t> missing_left;             ///< 1 where a row that lacks the value goes left; may be empty
  std::vector<std::vector<uint8_t>> codes_left;  ///< splits on categories: 1 for codes that go left; may be empty
};

/// Whether a split sends a row with this value left.
inline bool GoesLeft(const TreeView& tree, size_t node, double value) {
  if (value <= tree.threshold[node]) return true;
  if (value > tree.threshold[node]) return false;
  if (std::isnan(value)) return !tree.missing_left.empty() && tree.missing_left[node] != 0;
  const std::vector<uint8_t>& codes = tree.codes_left[node];
  return codes[std::min(static_cast<size_t>(value), codes.size() - 1)] != 0;
}

struct ForestView {
  int64_t features = 0;
  double normalizer = 0;  ///< c(psi): score = 2^(-mean leaf value / normalizer); 0 when trees hold one row
  std::vector<TreeView> trees;
};

/// Implemented by detectors that are forests of this kind, beside Detector; found by dynamic_cast.
class ForestSource {
 public:
  virtual ~ForestSource() = default;
  virtual ForestView Forest() const = 0;
  /// X as the splits compare it: GoesLeft exactly when the detector sends the row left. NaN is missing; codes of categories end
  /// with one for all that are not known.
  virtual Matrix ForestRows(MatrixView X) const = 0;
};

}  // namespace vedette::outlier
