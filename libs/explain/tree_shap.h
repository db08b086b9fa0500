// Shapley values of the mean leaf value of a forest, exact.
//
// Path-dependent (Lundberg et al., "From local explanations to global understanding with explainable AI for trees",
// Nature Machine Intelligence 2, 2020): an absent feature sends the row both ways, weighted by the sample rows that
// went there. With o_i = 1 where the row is inside the leaf's interval of feature i and z_i = the product of the cover
// ratios of that feature's splits, a leaf of value v over d distinct features gives feature j
//     v (o_j - z_j) Integral_0^1 prod_{i != j} f_i(u) du,   f_i(u) = z_i (1 - u) + o_i u,
// because Integral u^k (1-u)^(d-1-k) du = k! (d-1-k)! / d! is the Shapley weight. The integrand is a polynomial of
// degree d - 1, so that ceil(d / 2) Gauss-Legendre points are exact, and every f_i is positive: nothing cancels. At one
// point the products of all leaves are taken in one pass down the tree, and the leaves below each edge are summed in
// one pass up (as Yu, Bifet, Read, Xu, "Linear TreeShap", NeurIPS 2022, do with polynomials): with H(u) = the sum of v
// prod f over the leaves below an edge, the edge gives its feature
//     Integral H(u) ((o - z) / f(u) - (o' - z') / f'(u)) du,
// where primes are of the edge before it on the same feature, which it replaces (o' = z' = f' = 1 when there is none).
// What an edge multiplies and weights with depends on the row only through o and o': it is tabulated.
//
// Interventional (the first paper): an absent feature takes a background row's value. A coalition reaches a leaf only
// if each of its intervals holds the row or the background row; then, with A = intervals that only the row is in and B
// = those that only the background row is in, each of A gets v (|A|-1)! |B|! / (|A|+|B|)! and each of B loses v |A|!
// (|B|-1)! / (|A|+|B|)!. B is what misses the row, whatever the background row, so that background rows are told apart
// by the intervals that miss them alone.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "outlier/forest_view.h"
#include "outlier/kernels/aligned.h"

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

  /// Errors: INVALID_ARGUMENT when the arrays are no trees, a cover is not positive, a feature is out of range, or a
  /// path has more than kMaxPathFeatures distinct features.
  static absl::StatusOr<TreeShap> Make(const outlier::ForestView& forest);

  /// `rows`: ForestRows, n x features, of the forest's own source. About 4 ns per split and row at 8 levels.
  /// Thread-safe.
  absl::StatusOr<TreeShapResult> PathDependent(MatrixView rows, const Context& ctx) const;

  /// What interventional values need of a background (ForestRows, 1 to 10 000 rows), made once.
  struct Background {
    std::vector<uint32_t> missed;  ///< which intervals miss the row; distinct ones of each leaf together
    std::vector<double> weights;   ///< share of background rows with that mask
    std::vector<uint64_t> begin;   ///< per leaf, and the end
    double expected = 0;
  };
  /// RESOURCE_EXHAUSTED when forest and background together would take some gigabytes.
  absl::StatusOr<Background> Prepare(MatrixView background, const Context& ctx) const;
  absl::StatusOr<TreeShapResult> Interventional(MatrixView rows, const Background& background,
                                                const Context& ctx) const;

  int64_t features() const { return features_; }

 private:
  /// Nodes are numbered within their tree, parents before children, the left child before the right one.
  struct Split {
    int32_t feature = 0;
    uint32_t node = 0, left = 0;  ///< the right child is left + 1
    uint32_t before = 0;  ///< child of the last split on this feature that leads here; the root when there is none
    uint32_t slot = 0;    ///< place of the feature among those of the path
    double threshold = 0;
  };
  struct Leaf {
    double value = 0;                         ///< divided by the number of trees
    uint32_t node = 0, begin = 0, slots = 0;  ///< slot_features_[begin, begin + slots)
  };
  struct Tree {
    uint32_t first_split = 0, splits = 0, first_leaf = 0, leaves = 0, first_node = 0, nodes = 0;
  };
  /// Of a split: its feature's share of cover before it, and after either way.
  struct Shares {
    double before = 1, left = 1, right = 1;
  };
  struct Scratch;

  absl::Status AddTree(const outlier::TreeView& view, double weight, std::vector<Shares>& shares);
  void Tabulate(std::span<const Shares> shares);
  /// Rows without missing values, where no tree splits on categories, take every split by its threshold, without a
  /// branch.
  bool Plain(std::span<const double> row) const;
  template <bool kPlain>
  bool GoesLeft(const Split& split, const double* row) const {
    const double x = row[split.feature];
    if constexpr (kPlain) return x <= split.threshold;
    if (x <= split.threshold) return true;
    if (x > split.threshold) return false;
    return Otherwise(split, x);
  }
  /// Of a missing value, or a category.
  bool Otherwise(const Split& split, double x) const;
  double OutputOf(std::span<const double> row) const;
  template <bool kPlain, int kVectors>
  void Flow(const Tree& tree, const double* row, Scratch& scratch, double* sums) const;
  using FlowFn = void (TreeShap::*)(const Tree&, const double*, Scratch&, double*) const;
  void PathDependentRows(MatrixView rows, int64_t begin, int64_t end, TreeShapResult& out) const;
  template <bool kPlain>
  void Missed(const Tree& tree, const double* row, uint32_t* missed) const;
  void InterventionalTree(const Tree& tree, const uint32_t* missed, const Background& background, double* phi) const;

  int64_t features_ = 0;
  double root_ = 0;
  bool thresholds_only_ = true;  ///< no split on categories
  uint32_t most_nodes_ = 0, most_slots_ = 0;
  std::vector<Tree> trees_;
  std::vector<Split> splits_;
  std::vector<uint8_t> missing_left_;             ///< per split, as in TreeView
  std::vector<std::vector<uint8_t>> codes_left_;  ///< likewise
  std::vector<Leaf> leaves_;
  std::vector<int32_t> slot_features_;
  std::vector<int32_t> next_;             ///< per node: its split within the tree, or -1 - its leaf
  int vectors_ = 1;                       ///< of 4 quadrature points each
  outlier::AlignedArray<double> tables_;  ///< [split][state][left, right factor; left, right weight][point], see Flow
};

}  // namespace vedette::explain
