// How alike two rows are, for the methods that see rows through a kernel only.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <vector>

#include "outlier/kernels/fast_exp.h"
#include "outlier/kernels/row_blocks.h"

namespace vedette::outlier {

enum class Kernel { kRbf, kLinear, kPoly, kSigmoid };

inline Kernel KernelOf(std::string_view name) {
  return name == "rbf" ? Kernel::kRbf
                       : (name == "linear" ? Kernel::kLinear : (name == "poly" ? Kernel::kPoly : Kernel::kSigmoid));
}

/// k(x, row i) for all rows at once; finite for rows of finite values, bounded so that sums of squares stay finite.
struct KernelFunction {
  static constexpr double kMost = 1e140;

  Kernel kind = Kernel::kRbf;
  double gamma = 1, degree = 3, coef0 = 0;

  void Row(const RowBlocks& rows, const double* x, double* out) const {
    if (kind == Kernel::kRbf) {
      rows.SquaredDistances(x, out);
      const size_t size = rows.padded();
      const double negative = -gamma;  // not read again after every write to `out`
      for (size_t i = 0; i < size; ++i) out[i] *= negative;
      ExpAllOfNegative(out, size);
      return;
    }
    rows.Products(x, out);
    for (size_t i = 0; i < rows.rows(); ++i) out[i] = OfProduct(out[i]);
  }
  /// k(x, x).
  double Self(const double* x, size_t d) const {
    if (kind == Kernel::kRbf) return 1;
    double sum = 0;
    for (size_t j = 0; j < d; ++j) sum += x[j] * x[j];
    return OfProduct(sum);
  }

 private:
  double OfProduct(double product) const {
    if (kind == Kernel::kPoly) product = std::pow(gamma * product + coef0, degree);
    if (kind == Kernel::kSigmoid) product = std::tanh(gamma * product + coef0);
    return std::isnan(product) ? 0 : std::clamp(product, -kMost, kMost);
  }
};

/// gamma in units of values * unit: `given` when positive, 1 / columns for 0, 1 / (columns x variance of all values)
/// below.
inline double KernelGamma(double given, std::span<const double> rows, size_t d, double unit) {
  const double own = std::clamp(1 / (unit * unit), 1e-200, 1e200);  // gamma is given in the data's units
  if (given > 0) return std::min(given * own, 1e200);
  if (given == 0) return std::min(own / static_cast<double>(d), 1e200);
  double mean = 0, variance = 0;
  for (const double v : rows) mean += v / static_cast<double>(rows.size());
  for (const double v : rows) variance += (v - mean) * (v - mean) / static_cast<double>(rows.size());
  return variance > 0 && std::isfinite(1 / variance) ? 1 / (static_cast<double>(d) * variance) : 1;
}

/// `used` of n rows, evenly spaced, in the order of their values: what is computed from them must not depend, even in
/// its last digits, on the order of the rows.
inline std::vector<int64_t> EvenlySpacedOrder(std::span<const double> rows, int64_t n, int64_t d, int64_t used) {
  std::vector<int64_t> order(static_cast<size_t>(used));
  for (int64_t i = 0; i < used; ++i) order[static_cast<size_t>(i)] = i * n / used;
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const auto x = rows.begin() + a * d, y = rows.begin() + b * d;
    return std::lexicographical_compare(x, x + d, y, y + d);
  });
  return order;
}

}  // namespace vedette::outlier
