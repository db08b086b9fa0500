#include "outlier/kernels/neighbor_gaps.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "base/status.h"
#include "outlier/columns.h"

namespace vedette::outlier {

absl::StatusOr<Attribution> NeighborGaps(const NeighborIndex& index, Metric metric, int64_t k, MatrixView X,
                                         const Context& ctx) {
  Attribution out{Matrix(X.rows, X.cols), Matrix(X.rows, X.cols), "distance"};
  if (metric.kind == MetricKind::kEuclidean) out.space = "squared distance";
  if (metric.kind == MetricKind::kMinkowski) out.space = "distance to the power p";
  const double power = metric.kind == MetricKind::kEuclidean ? 2 : metric.kind == MetricKind::kMinkowski ? metric.p : 1;
  const auto visit = [&](int64_t i, std::span<const double> distances, std::span<const int32_t> rows) {
    if (!rows.empty() && distances[0] == 0 && rows.size() > 1) rows = rows.subspan(1);  // the row itself
    rows = rows.first(std::min<size_t>(k, rows.size()));
    std::vector<double> values(rows.size());
    for (int64_t j = 0; j < X.cols; ++j) {
      double sum = 0;
      for (size_t r = 0; r < rows.size(); ++r) {
        values[r] = index.Value(rows[r], j);
        const double gap = std::abs(X(i, j) - values[r]);
        sum += power == 1 ? gap : power == 2 ? gap * gap : std::pow(gap, power);
      }
      out.contributions(i, j) = std::min(sum / static_cast<double>(rows.size()), DBL_MAX);
      out.expected(i, j) = MedianInPlace(values);
    }
  };
  RETURN_IF_ERROR(index.Of(X, k + 1, ctx, visit));
  return out;
}

}  // namespace vedette::outlier
