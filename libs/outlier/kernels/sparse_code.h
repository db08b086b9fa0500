// A row as a sparse combination of other rows: the elastic net by an active set, exact up to rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "outlier/kernels/row_blocks.h"

namespace vedette::outlier {

/// Minimises |y - sum_k c_k s_k x_k|^2 / 2 + alpha (tau |c|_1 + (1 - tau) |c|_2^2 / 2) over c, where the x_k are rows,
/// the s_k > 0 their scales, and alpha = largest |s_k x_k . y| / (gamma tau): a gamma of 1 is the least whose solution
/// is 0 (Zou, Hastie 2005; You, Li, Robinson, Vidal, CVPR 2016). At most 128 rows are taken. One object per thread;
/// solutions do not depend on what was solved before.
class SparseCoder {
 public:
  struct Problem {
    const RowBlocks* rows = nullptr;
    const double* values = nullptr;  ///< the same rows, row-major
    std::span<const double> y;       ///< of the rows' width
    std::span<const double> scales;  ///< one a row, and one more for `extra`
    int64_t left_out = -1;           ///< this row takes no part
    const double* extra = nullptr;   ///< one more row, whose number is rows->rows(); may be null
    double gamma = 50, tau = 1;      ///< gamma >= 1, tau in (0, 1]
  };

  /// Fills chosen() and coefficients(), which are empty where y is orthogonal to all rows.
  void Solve(const Problem& problem);
  /// Rows with a coefficient that is not 0, in the order in which they came in, and c_k s_k of each: what multiplies
  /// x_k.
  std::span<const int32_t> chosen() const { return chosen_; }
  std::span<const double> weights() const { return weights_; }
  /// y less the combination.
  std::span<const double> residual() const { return residual_; }
  /// A row that is not chosen would be if |s x . residual| were above this.
  double bound() const { return bound_; }

 private:
  const double* Row(int64_t k) const;
  int64_t MostAligned(double* correlation);
  void Join(int64_t k, double sign);
  void Leave(size_t place);
  bool Descend();
  bool SolveActive();
  void UpdateResidual();

  Problem p_;
  double bound_ = 0, ridge_ = 0;
  size_t factored_ = 0;  // rows of factor_ that hold for the set as it is
  std::vector<double> residual_, products_, coefficients_, signs_, target_, gram_, factor_, solution_, weights_;
  std::vector<int32_t> chosen_;
  std::vector<char> active_;
};

}  // namespace vedette::outlier
