#include "outlier/kernels/neighbor_gaps.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/status.h"
#include "outlier/columns.h"

namespace vedette::outlier {
namespace {

constexpr size_t kSorted = 32;  // rows that are sorted in all columns at once

void AddGaps(const double* x, const double* y, size_t d, double power, double* sums) {
  if (power == 2) {
    for (size_t j = 0; j < d; ++j) sums[j] += (x[j] - y[j]) * (x[j] - y[j]);
  } else if (power == 1) {
    for (size_t j = 0; j < d; ++j) sums[j] += std::abs(x[j] - y[j]);
  } else {
    for (size_t j = 0; j < d; ++j) sums[j] += std::pow(std::abs(x[j] - y[j]), power);
  }
}

/// values: n x d, row by row. Their first row becomes the columns' medians, the others whatever.
void MediansOfColumns(double* values, size_t n, size_t d) {
  if (n > kSorted) {
    std::vector<double> column(n);
    for (size_t j = 0; j < d; ++j) {
      for (size_t r = 0; r < n; ++r) column[r] = values[r * d + j];
      values[j] = MedianInPlace(column);
    }
    return;
  }
  // Neighbours are exchanged in n rounds, as in a network for sorting: whole rows at once, without a branch.
  for (size_t round = 0; round < n; ++round) {
    for (size_t r = round % 2; r + 1 < n; r += 2) {
      double* const a = values + r * d;
      double* const b = a + d;
      for (size_t j = 0; j < d; ++j) {
        const double low = a[j] < b[j] ? a[j] : b[j], high = a[j] < b[j] ? b[j] : a[j];
        a[j] = low;
        b[j] = high;
      }
    }
  }
  const double* const upper = values + n / 2 * d;
  const double* const lower = values + (n - 1) / 2 * d;
  for (size_t j = 0; j < d; ++j) values[j] = std::midpoint(lower[j], upper[j]);
}

}  // namespace

absl::StatusOr<Attribution> NeighborGaps(const NeighborIndex& index, Metric metric, int64_t k, MatrixView X,
                                         const Context& ctx) {
  Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "distance"};
  if (metric.kind == MetricKind::kEuclidean) out.space = "squared distance";
  if (metric.kind == MetricKind::kMinkowski) out.space = "distance to the power p";
  const double power = metric.kind == MetricKind::kEuclidean ? 2 : metric.kind == MetricKind::kMinkowski ? metric.p : 1;
  const auto visit = [&](int64_t i, std::span<const double> distances, std::span<const int32_t> rows) {
    if (!rows.empty() && distances[0] == 0 && rows.size() > 1) rows = rows.subspan(1);  // the row itself
    rows = rows.first(std::min<size_t>(k, rows.size()));
    const auto d = static_cast<size_t>(X.cols);
    absl::InlinedVector<double, 512> values(rows.size() * d);  // row by row: columns go side by side
    absl::InlinedVector<double, 64> x(d), sums(d, 0.0);
    for (size_t j = 0; j < d; ++j) x[j] = X(i, static_cast<int64_t>(j));
    for (size_t r = 0; r < rows.size(); ++r) {
      double* const own = values.data() + r * d;
      index.Values(rows[r], own);
      AddGaps(x.data(), own, d, power, sums.data());
    }
    for (size_t j = 0; j < d; ++j) {
      out.contributions(i, static_cast<int64_t>(j)) = std::min(sums[j] / static_cast<double>(rows.size()), DBL_MAX);
    }
    MediansOfColumns(values.data(), rows.size(), d);
    for (size_t j = 0; j < d; ++j) out.expected(i, static_cast<int64_t>(j)) = values[j];
  };
  RETURN_IF_ERROR(index.Of(X, k + 1, ctx, visit));
  return out;
}

}  // namespace vedette::outlier
