// Columns to mean 0 and standard deviation 1 by the training data, in float32 as networks take them.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/context.h"
#include "base/matrix.h"

namespace vedette::neural {

class Standardizer {
 public:
  /// Standardised values are cut at +-kLimit, so that no input makes a network overflow.
  static constexpr double kLimit = 1e6;

  /// Mean and population standard deviation of each column; a constant column gets 1. Values up to the largest double are
  /// fine. INVALID_ARGUMENT for the first value that is not finite, naming row and column; CANCELLED, DEADLINE_EXCEEDED.
  static absl::StatusOr<Standardizer> Fit(MatrixView X, const Context& ctx);

  /// Leaves values as they are, but for the limit.
  static Standardizer Identity(int64_t features);

  int64_t features() const { return static_cast<int64_t>(means_.size()); }
  /// A missing value becomes the mean; infinity becomes the limit.
  float Apply(int64_t feature, double value) const;
  /// Back to the units of the matrix; finite.
  double Invert(int64_t feature, double standardised) const;

  void Save(ByteWriter& out) const;
  static absl::StatusOr<Standardizer> Load(ByteReader& in);

 private:
  std::vector<double> means_, deviations_;
};

}  // namespace vedette::neural
