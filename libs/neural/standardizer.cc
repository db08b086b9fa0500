#include "neural/standardizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/status.h"
#include "base/thread_pool.h"

namespace vedette::neural {

namespace {

/// Mean and deviation of one column, or the row of the first value that is not finite.
struct Moments {
  double mean = 0, deviation = 1;
  int64_t bad_row = -1;
};

Moments MomentsOf(std::span<const double> column) {
  double low = column[0], high = column[0];
  for (size_t i = 0; i < column.size(); ++i) {
    if (!std::isfinite(column[i])) return {.bad_row = static_cast<int64_t>(i)};
    low = std::min(low, column[i]);
    high = std::max(high, column[i]);
  }
  if (low == high) return {.mean = low};
  // In units of the largest magnitude: squares of large values must not overflow, nor those of small ones vanish.
  const double unit = std::max({std::abs(low), std::abs(high), std::numeric_limits<double>::min()});
  const auto n = static_cast<double>(column.size());
  double mean = 0, squares = 0;
  for (const double v : column) mean += v / unit;
  mean /= n;
  for (const double v : column) squares += (v / unit - mean) * (v / unit - mean);
  const double deviation = std::sqrt(squares / n) * unit;
  const bool usable = deviation > 0 && std::isfinite(deviation);
  return {.mean = std::clamp(mean * unit, low, high), .deviation = usable ? deviation : 1.0};
}

}  // namespace

absl::StatusOr<Standardizer> Standardizer::Fit(MatrixView X, const Context& ctx) {
  std::vector<Moments> moments(static_cast<size_t>(X.cols));
  std::atomic<bool> stopped{false};
  ParallelFor(ctx.pool, X.cols, 1, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      if (stopped.load(std::memory_order_relaxed) || !ctx.Check().ok()) {
        stopped.store(true, std::memory_order_relaxed);
        return;
      }
      moments[static_cast<size_t>(j)] = MomentsOf(X.col(j));
    }
  });
  if (stopped) return ctx.Check();
  Standardizer out;
  for (size_t j = 0; j < moments.size(); ++j) {
    if (moments[j].bad_row >= 0) {
      return InvalidArgument("the value in row {}, column {} is not finite", moments[j].bad_row, j);
    }
    out.means_.push_back(moments[j].mean);
    out.deviations_.push_back(moments[j].deviation);
  }
  return out;
}

Standardizer Standardizer::Identity(int64_t features) {
  Standardizer out;
  out.means_.assign(static_cast<size_t>(features), 0);
  out.deviations_.assign(static_cast<size_t>(features), 1);
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
