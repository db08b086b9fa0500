// Shapley values of the mean leaf value of a forest, in closed form per leaf.
//
// Path-dependent (Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
// Nature Machine Intelligence 2, 2020): an absent feature sends the row both ways, weighted by the sample rows that went
// there. With o_i = 1 where the row is inside the leaf's interval of feature i and z_i = the product of the cover ratios
// of that feature's splits, a leaf of value v over d distinct features gives feature j
//     v (o_j - z_j) Integral_0^1 prod_{i != j} (z_i (1 - u) + o_i u) du,
// because Integral u^k (1-u)^(d-1-k) du = k! (d-1-k)! / d! is the Shapley weight. The integrand is a polynomial of degree
// d - 1, so that ceil(d / 2) Gauss-Legendre points are exact, and every factor is positive: nothing cancels.
//
// Interventional (the same paper): an absent feature takes a background row's value. See Interventional below.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "outlier/forest_view.h"

namespace vedette::explain {

/// Shapley values of rows, in the units of the forest's leaf values (path length: larger is more normal).
struct TreeShapResult {
  Matrix phi;                  ///< rows x features
  std::vector<double> output;  ///< mean leaf value of each row over the trees
  double expected = 0;         ///< output of the empty coalition; output = expected + sum of phi
};

class TreeShap {
 public:
  /// At most this many distinct features on one path: masks are 32 bits wide.
  static constexpr int kMaxPathFeatures = 32;

  /// Errors: INVALID_ARGUMENT when the arrays are no trees, a child precedes its parent, a cover is not positive, a
  /// feature is out of range, or a path has more than kMaxPathFeatures distinct features.
  static absl::StatusOr<TreeShap> Make(const outlier::ForestView& forest);

  /// `rows`: ForestRows, n x features, without NaN. About 25 ns per leaf and row at 8 levels. Thread-safe.
  absl::StatusOr<TreeShapResult> PathDependent(MatrixView rows, const Context& ctx) const;

  /// What interventional values need of a background (ForestRows, 1 to 10 000 rows, without NaN), made once.
  struct Background {
    std::vector<uint32_t> masks;    ///< which intervals hold the row; distinct ones of each leaf together
    std::vector<double> weights;    ///< share of background rows with that mask
    std::vector<uint32_t> begin;    ///< per leaf, and the end
    double expected = 0;
  };
  absl::StatusOr<Background> Prepare(MatrixView background, const Context& ctx) const;
  absl::StatusOr<TreeShapResult> Interventional(MatrixView rows, const Background& background, const Context& ctx) const;

  int64_t features() const { return features_; }

 private:
  static constexpr int kLanes = 4;
  /// One leaf: an interval (low, high] and a share of cover per distinct feature of its path.
  struct Leaf {
    double value = 0;  ///< divided by the number of trees
    uint32_t begin = 0, count = 0;
  };
  struct Interval {
    int32_t feature = 0;
    double low = 0, high = 0, share = 1;
  };
  /// kLanes leaves side by side; slots beyond a leaf's own hold every value and change nothing.
  struct Block {
    uint32_t begin = 0, slots = 0;
  };

  absl::Status AddTree(const outlier::TreeView& tree, double weight);
  void MakeBlocks();
  uint32_t MaskOf(const Leaf& leaf, const double* row) const;
  double OutputOf(const double* row) const;
  void PathDependentRow(const double* row, std::span<double> phi, std::vector<double>& scratch) const;
  void InterventionalRow(const double* row, const Background& background, std::span<double> phi) const;

  int64_t features_ = 0;
  double root_ = 0;
  std::vector<Leaf> leaves_;
  std::vector<Interval> intervals_;
  std::vector<Block> blocks_;
  std::vector<int32_t> lane_feature_;                                 ///< [block][slot][lane]
  std::vector<double> lane_low_, lane_high_, lane_share_, lane_value_;  ///< the last: [block][lane]
  std::vector<std::vector<double>> nodes_, weights_;                  ///< Gauss-Legendre on (0, 1) by number of points
};

}  // namespace vedette::explain
