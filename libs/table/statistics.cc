#include "table/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vedette::table {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

/// Sum of f(v) by Neumaier's variant of Kahan summation (ZAMM 54, 1974).
template <typename F>
double CompensatedSum(const std::vector<double>& values, F f) {
  double sum = 0, lost = 0;
  for (const double value : values) {
    const double v = f(value);
    const double t = sum + v;
    lost += std::abs(sum) >= std::abs(v) ? (sum - t) + v : (v - t) + sum;
    sum = t;
  }
  return sum + lost;
}

double Largest(const std::vector<double>& values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

/// A power of two that keeps n squares of the values finite; 1 for ordinary values, so that they stay bit by bit.
double SafeUnit(const std::vector<double>& values) { return Largest(values) > 1e140 ? 0x1p700 : 1.0; }

double SortedQuantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(at);
  if (i + 1 >= sorted.size()) return sorted.back();
  const double fraction = at - static_cast<double>(i);
  const double low = sorted[i], high = sorted[i + 1];
  if (fraction == 0) return low;
  const double step = high - low;
  return std::isfinite(step) ? low + fraction * step : low * (1 - fraction) + high * fraction;
}

}  // namespace

double Mean(const std::vector<double>& values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double unit = SafeUnit(values);
  const double n = static_cast<double>(values.size());
  return CompensatedSum(values, [unit](double v) { return v / unit; }) / n * unit;
}

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  return SortedQuantile(values, q);
}

LocationScale StandardScale(const std::vector<double>& values) {
  if (values.empty()) return {};
  const double unit = SafeUnit(values);
  const double n = static_cast<double>(values.size());
  const double mean = CompensatedSum(values, [unit](double v) { return v / unit; }) / n;
  const double variance = CompensatedSum(values, [=](double v) { return (v / unit - mean) * (v / unit - mean); }) / n;
  const bool constant = variance <= n * kEpsilon * variance + (n * mean * kEpsilon) * (n * mean * kEpsilon);
  return {mean * unit, constant ? 1.0 : std::sqrt(variance) * unit};
}

LocationScale RobustScale(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const double range = SortedQuantile(values, 0.75) - SortedQuantile(values, 0.25);
  const bool usable = std::isfinite(range) && range >= 10 * kEpsilon;
  return {SortedQuantile(values, 0.5), usable ? range : 1.0};
}

}  // namespace vedette::table
