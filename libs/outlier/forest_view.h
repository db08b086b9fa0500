// A fitted forest as plain arrays, for those who explain it: no kernel's layout, no saved form.
#pragma once

#include <cstdint>
#include <vector>

#include "base/matrix.h"

namespace vedette::outlier {

/// One tree, parallel arrays; node 0 is the root, parents come before their children.
struct TreeView {
  std::vector<int32_t> feature;   ///< what a split compares; < 0 at a leaf
  std::vector<int32_t> left;      ///< child of rows with value <= threshold; -1 at a leaf
  std::vector<int32_t> right;     ///< child of the others; -1 at a leaf
  std::vector<double> threshold;  ///< in the units of ForestSource::ForestRows
  std::vector<double> cover;      ///< sample rows that came through the node when the tree was grown
  std::vector<double> value;      ///< leaves: depth + c(cover); splits: their children's mean, weighted by cover
};

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
  /// X as the splits compare it: every value <= a threshold here exactly when the detector sends the row left.
  virtual Matrix ForestRows(MatrixView X) const = 0;
};

}  // namespace vedette::outlier
