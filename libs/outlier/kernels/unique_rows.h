// The distinct rows of a matrix, row-major, with the rows that share each. Real tables repeat rows (61% of KDD's http
// set): searching among distinct rows once keeps neighbour search from growing with the square of the repetitions.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/context.h"
#include "base/matrix.h"
#include "outlier/kernels/aligned.h"

namespace vedette::outlier {

class UniqueRows {
 public:
  /// Values are multiplied by `unit` (a power of two); -0 becomes 0. Locations are numbered by their first row.
  static absl::StatusOr<UniqueRows> Of(MatrixView X, double unit, const Context& ctx);

  int64_t rows() const { return static_cast<int64_t>(location_.size()); }
  int64_t locations() const { return static_cast<int64_t>(begin_.size()) - 1; }
  int64_t features() const { return features_; }
  int64_t stride() const { return stride_; }  ///< features, rounded up to a multiple of 4; the rest is zero
  const double* at(int64_t location) const { return values_.get() + location * stride_; }
  std::span<const int32_t> members(int64_t location) const {
    return {members_.data() + begin_[location], static_cast<size_t>(begin_[location + 1] - begin_[location])};
  }
  int32_t location(int64_t row) const { return location_[row]; }

  void Save(ByteWriter& out) const;
  static UniqueRows Load(ByteReader& in);

 private:
  absl::Status ListMembers(const Context& ctx);

  int64_t features_ = 0, stride_ = 0;
  AlignedArray<double> values_;
  std::vector<int32_t> location_;  // of each row
  std::vector<int32_t> begin_, members_;
};

}  // namespace vedette::outlier
