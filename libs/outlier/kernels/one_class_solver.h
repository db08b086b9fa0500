// The quadratic programme of the one-class support vector machine (Schoelkopf et al. 2001): the least alpha' K alpha /
// 2 with 0 <= alpha <= 1 and sum alpha = total.
//
// A quarter of the rows is solved first, and says which rows to begin with. Then, as long as any pair of rows violates
// the optimum by more than the tolerance, the rows nearest to the margin are solved among themselves by sequential
// minimal optimisation with second-order choice of the pair (Fan, Chen, Lin 2005), the others held fixed; all gradients
// follow from the alphas that changed (decomposition, Joachims 1999).
#pragma once

#include <absl/status/statusor.h>

#include <span>
#include <vector>

#include "base/context.h"
#include "outlier/kernels/kernel_function.h"

namespace vedette::outlier {

/// Rows with weights, and the weighted sum of their kernels with other rows.
class KernelExpansion {
 public:
  KernelExpansion() = default;
  /// rows: weights.size() x d, row-major.
  KernelExpansion(const KernelFunction& kernel, std::span<const double> rows, std::vector<double> weights, size_t d);
  static constexpr int kTogether = 4;
  /// out[q] = sum over i of weights[i] k(x[q], row i), count <= kTogether; a row's bits do not depend on the others.
  void Sums(const double* const* x, int count, double* out) const;
  /// Of `n` rows, row-major; blocks in parallel.
  absl::Status AllSums(std::span<const double> rows, size_t n, std::span<double> out, const Context& ctx) const;
  const RowBlocks& blocks() const { return blocks_; }
  std::span<const double> weights() const { return {weights_.data(), size_}; }
  /// Rows between two looks at the context, a multiple of kTogether.
  int64_t BlockRows() const;

 private:
  KernelFunction kernel_;
  size_t size_ = 0;
  RowBlocks blocks_;
  std::vector<double> weights_;  ///< padded with zeros
};

struct OneClassFit {
  std::vector<double> alpha;
  std::vector<double> gradient;  ///< K alpha, summed by the expansion of the rows with alpha > 0
  double rho = 0;
};

/// rows: n x d, row-major; total = nu * n. What is returned violates the optimum by at most `tolerance`, unless a bound
/// on the number of steps is reached (kernels that are not positive definite).
absl::StatusOr<OneClassFit> SolveOneClass(const KernelFunction& kernel, std::span<const double> rows, size_t n,
                                          size_t d, double nu, double tolerance, const Context& ctx);

}  // namespace vedette::outlier
