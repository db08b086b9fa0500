#include "neural/standardizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status.h"

namespace vedette::neural {

absl::StatusOr<Standardizer> Standardizer::Fit(MatrixView X) {
  Standardizer out;
  for (int64_t j = 0; j < X.cols; ++j) {
    const std::span<const double> column = X.col(j);
    double low = column[0], high = column[0];
    for (size_t i = 0; i < column.size(); ++i) {
      if (!std::isfinite(column[i])) return InvalidArgument("the value in row {}, column {} is not finite", i, j);
      low = std::min(low, column[i]);
      high = std::max(high, column[i]);
    }
    // In units of the largest magnitude: squares of large values must not overflow, nor those of small ones vanish.
    const double unit = std::max({std::abs(low), std::abs(high), std::numeric_limits<double>::min()});
    const auto n = static_cast<double>(column.size());
    double mean = 0, squares = 0;
    for (const double v : column) mean += v / unit;
    mean /= n;
    for (const double v : column) squares += (v / unit - mean) * (v / unit - mean);
    const double deviation = std::sqrt(squares / n) * unit;
    const bool varies = low < high && deviation > 0 && std::isfinite(deviation);
    out.means_.push_back(low < high ? std::clamp(mean * unit, low, high) : low);
    out.deviations_.push_back(varies ? deviation : 1.0);
  }
  return out;
}

float Standardizer::Apply(int64_t feature, double value) const {
  if (std::isnan(value)) return 0.0f;
  const auto j = static_cast<size_t>(feature);
  return static_cast<float>(std::clamp((value - means_[j]) / deviations_[j], -kLimit, kLimit));
}

double Standardizer::Invert(int64_t feature, double standardised) const {
  const auto j = static_cast<size_t>(feature);
  constexpr double kMax = std::numeric_limits<double>::max();
  const double value = means_[j] + deviations_[j] * standardised;
  return std::isnan(value) ? means_[j] : std::clamp(value, -kMax, kMax);
}

void Standardizer::Save(ByteWriter& out) const {
  out.Doubles(means_);
  out.Doubles(deviations_);
}

absl::StatusOr<Standardizer> Standardizer::Load(ByteReader& in) {
  Standardizer out;
  out.means_ = in.Doubles();
  out.deviations_ = in.Doubles();
  RETURN_IF_ERROR(in.status());
  if (out.means_.size() != out.deviations_.size()) {
    return DataLoss("{} means but {} standard deviations", out.means_.size(), out.deviations_.size());
  }
  for (size_t j = 0; j < out.means_.size(); ++j) {
    if (!std::isfinite(out.means_[j]) || !std::isfinite(out.deviations_[j]) || out.deviations_[j] <= 0) {
      return DataLoss("the scaling of feature {} is not usable", j);
    }
  }
  return out;
}

}  // namespace vedette::neural
