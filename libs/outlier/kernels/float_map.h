// Doubles to float32, per feature, in a way that keeps the order of values and cannot overflow.
//
// Trees compare rows with thresholds in ONE type, float32 (a threshold drawn in one type and compared in another sends
// rows to the wrong side). Plain rounding would lose a feature like 1.7e9 +- 100 and overflow at 3.4e38, so each
// feature is first moved to its median and scaled by a power of two to a spread near 1:
//     f(x) = float32(clamp((x - median) * 2^-e, -FLT_MAX, FLT_MAX))
// f never decreases, is exact near the median, and maps anything beyond 3.4e38 spreads to one value. NaN maps to
// -FLT_MAX.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/matrix.h"

namespace vedette::outlier {

class FloatMap {
 public:
  static constexpr int64_t kLanes = 8;  ///< rows of a group

  /// Medians and spreads of each column of X (n >= 1), from at most 2048 rows at equal steps.
  static FloatMap Fit(MatrixView X);

  int64_t features() const { return static_cast<int64_t>(center_.size()); }
  double center(int64_t feature) const { return center_[feature]; }
  float Map(double value, int64_t feature) const;

  /// Rows [begin, begin + count) of X in groups of 8: out[group][feature][lane]. The last group is filled up with
  /// copies of the last row. out holds ceil(count / 8) * 8 * features values, aligned to 32 bytes.
  void MapGroups(MatrixView X, int64_t begin, int64_t count, float* out) const;

  void Save(ByteWriter& out) const;
  static FloatMap Load(ByteReader& in);

 private:
  std::vector<double> center_, scale_;
};

}  // namespace vedette::outlier
