// Per-column statistics and standardisation that neither overflow nor underflow, for any finite doubles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/context.h"
#include "base/matrix.h"

namespace vedette::outlier {

/// The power of two (exact to multiply by) that brings values of magnitude `max_abs` near 1; 1 for ordinary magnitudes
/// (1e-100..1e100), so that ordinary data is left untouched.
double UnitFor(double max_abs);
double UnitFor(std::span<const double> values);

/// Least and largest value; not empty.
struct Range {
  double low = 0;
  double high = 0;
};
Range RangeOf(std::span<const double> values);

/// Mean and population variance (ddof 0) of values * unit: two passes over each block of rows, in a fixed order of
/// summation.
struct Moments {
  double mean = 0;
  double variance = 0;
};
Moments MomentsOf(std::span<const double> values, double unit);

/// Median (mean of the middle two), without overflow; reorders `values`. Not empty.
double MedianInPlace(std::span<double> values);

/// The value that would be at `rank` (from 0) if the values were sorted; finite, not empty. One pass beside a sample's
/// sort.
double ValueOfRank(std::span<const double> values, size_t rank);

/// (x - center) / scale per column. |z| is bounded by kMaxZ, so that sums of squares stay finite.
class Standardizer {
 public:
  static constexpr double kMaxZ = 1e100;

  /// Mean and standard deviation (ddof 0) of each column. A column that is constant up to rounding gets scale 1, by the
  /// rule of scikit-learn's StandardScaler: variance <= n eps variance + (n mean eps)^2.
  absl::Status FitMeanAndDeviation(MatrixView X, const Context& ctx);
  /// Sets one column: z = (x * unit - center * unit) * inverse, all finite, unit and inverse > 0.
  void Add(double unit, double center_in_units, double inverse);

  int64_t size() const { return static_cast<int64_t>(unit_.size()); }
  double Z(int64_t column, double x) const {
    const auto j = static_cast<size_t>(column);
    const double z = (x * unit_[j] - center_[j]) * inverse_[j];
    return z > kMaxZ ? kMaxZ : (z < -kMaxZ ? -kMaxZ : z);
  }
  /// z of kTile rows from `begin` (fewer at the end of X: zeros then), feature by feature: out[j * kTile + r].
  static constexpr int64_t kTile = 16;
  void Tile(MatrixView X, int64_t begin, double* out) const;
  /// Several full tiles, one after the other: of each column a stretch is read that is long enough to be fetched ahead.
  void Tiles(MatrixView X, int64_t begin, int64_t tiles, double* out) const;
  /// z of one column's rows from `begin`, as many as `out` holds.
  void Block(MatrixView X, int64_t column, int64_t begin, std::span<double> out) const;
  /// The value of the column that z stands for (the inverse of Z), bounded to finite doubles.
  double Unscaled(int64_t column, double z) const {
    const auto j = static_cast<size_t>(column);
    const double x = (z / inverse_[j] + center_[j]) / unit_[j];
    constexpr double kMax = std::numeric_limits<double>::max();
    return std::isnan(x) ? 0 : std::clamp(x, -kMax, kMax);
  }
  /// What z = 0 stands for, of all columns: 1 x size().
  Matrix Centers() const;
  /// |z| times `factor` of rows [begin, begin + count) of all columns: row i of column j goes to out[j * stride + i].
  void Sizes(MatrixView X, int64_t begin, int64_t count, double factor, double* out, int64_t stride) const;

  void Save(ByteWriter& out) const;
  /// Fails the reader unless there are `size` columns of usable numbers.
  void Load(ByteReader& in, int64_t size);

 private:
  void Derive();

  std::vector<double> unit_, center_, inverse_;
  std::vector<double> unscaled_center_;  ///< derived
};

}  // namespace vedette::outlier
