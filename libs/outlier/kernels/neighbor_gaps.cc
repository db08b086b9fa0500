#include "outlier/kernels/neighbor_gaps.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/kernels/processor.h"
#include "outlier/kernels/simd.h"
// After it.
#include "outlier/kernels/neighbor_gaps_impl.h"

namespace vedette::outlier {

namespace {

/// The exchanges that bring the middle one or two of n values to their places: Batcher's merge exchange (Knuth, The Art
/// of Computer Programming 3, 5.2.2 M), without those that other places alone need.
std::vector<Exchange> MiddleExchanges(size_t n) {
  std::vector<Exchange> all;
  size_t top = 1;
  while (2 * top < n) top *= 2;
  for (size_t p = n > 1 ? top : 0; p > 0; p /= 2) {
    for (size_t q = top, r = 0, d = p;; d = q - p, q /= 2, r = p) {
      for (size_t i = 0; i + d < n; ++i) {
        if ((i & p) == r) all.push_back({static_cast<uint8_t>(i), static_cast<uint8_t>(i + d)});
      }
      if (q == p) break;
    }
  }
  std::vector<bool> needed(n, false);
  needed[(n - 1) / 2] = needed[n / 2] = true;
  std::vector<Exchange> kept;
  for (size_t e = all.size(); e-- > 0;) {
    if (!needed[all[e].low] && !needed[all[e].high]) continue;
    needed[all[e].low] = needed[all[e].high] = true;
    kept.push_back(all[e]);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

const std::vector<Exchange>& ExchangesFor(size_t n) {
  static const auto networks = [] {
    std::array<std::vector<Exchange>, kGapRows + 1> all;
    for (size_t k = 1; k <= kGapRows; ++k) all[k] = MiddleExchanges(k);
    return all;
  }();
  return networks[n];
}

GapForm FormOf(const NeighborIndex& index, Metric metric) {
  const int exponent = -std::ilogb(index.unit());
  return {.power = metric.kind == MetricKind::kEuclidean   ? 2
                   : metric.kind == MetricKind::kMinkowski ? metric.p
                                                           : 1,
          .unscale = {std::ldexp(1.0, exponent / 2), std::ldexp(1.0, exponent - exponent / 2)}};
}

/// Of all `padded` columns, eight at a time where there are as many.
void GapsOfFew(const GapForm& form, const GapRows& rows, size_t padded) {
  const size_t whole = padded / 8 * 8;
  HasAvx512() ? GapsOfColumnsAvx512(form, rows, whole) : GapsOfColumns(form, rows, whole);
  if (whole < padded) GapsOf<F64x4, 1>(form, rows, whole);
}

/// The same of all columns, for more rows than that.
void GapsOfMany(const GapForm& form, std::span<const double* const> rows, const double* x, size_t d, double* means,
                double* medians) {
  std::vector<double> column(rows.size());
  for (size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      column[r] = rows[r][j] * form.unscale[0] * form.unscale[1];
      const double gap = std::abs(x[j] - column[r]);
      sum += form.power == 2 ? gap * gap : form.power == 1 ? gap : std::pow(gap, form.power);
    }
    means[j] = std::min(sum / static_cast<double>(rows.size()), DBL_MAX);
    medians[j] = MedianInPlace(column);
  }
}

void ShareOut(double total, std::span<double> parts) {
  double most = 0, sum = 0;
  for (const double part : parts) most = std::max(most, part);
  if (most == 0) return;
  for (double& part : parts) sum += part /= most;  // no overflow
  for (double& part : parts) part *= total / sum;
}

}  // namespace

void GapsOfColumns(const GapForm& form, const GapRows& rows, size_t columns) {
  for (size_t at = 0; at < columns; at += 8) GapsOf<F64x4, 2>(form, rows, at);
}

absl::StatusOr<Attribution> NeighborGaps(const NeighborIndex& index, Metric metric, int64_t k, MatrixView X,
                                         const Context& ctx, const GapsOptions& options) {
  Attribution out{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = Matrix::ForOverwrite(X.rows, X.cols),
                  .space = "distance"};
  if (metric.kind == MetricKind::kEuclidean) out.space = "squared distance";
  if (metric.kind == MetricKind::kMinkowski) out.space = "distance to the power p";
  if (options.score != nullptr) out.scores.resize(static_cast<size_t>(X.rows));
  const GapForm form = FormOf(index, metric);
  const auto d = static_cast<size_t>(X.cols), padded = static_cast<size_t>(index.stride());
  const auto visit = [&](int64_t i, std::span<const double> distances, std::span<const int32_t> rows, int32_t next) {
    const bool itself = !rows.empty() && distances[0] == 0 && (rows.size() > 1 || next >= 0);
    absl::InlinedVector<const double*, kGapRows> near;
    const auto add = [&](int32_t row) {
      near.push_back(index.Row(row));
      for (size_t j = 0; j < std::min<size_t>(padded, 64); j += 8) __builtin_prefetch(near.back() + j);
    };
    for (size_t r = itself ? 1 : 0; r < rows.size() && std::ssize(near) < k; ++r) add(rows[r]);
    if (next >= 0 && std::ssize(near) < k) add(next);
    absl::InlinedVector<double, 192> work(3 * padded);
    double *const x = work.data(), *const means = x + padded, *const medians = means + padded;
    for (size_t j = 0; j < d; ++j) x[j] = X(i, static_cast<int64_t>(j));
    if (near.empty()) {
      std::copy_n(x, d, medians);  // nothing to compare with
    } else if (near.size() > kGapRows) {
      GapsOfMany(form, near, x, d, means, medians);
    } else {
      const std::vector<Exchange>& exchanges = ExchangesFor(near.size());
      GapsOfFew(form, {near.data(), near.size(), exchanges.data(), exchanges.size(), x, means, medians}, padded);
    }
    if (options.score != nullptr) {
      const double score = options.score(distances, rows);
      out.scores[static_cast<size_t>(i)] = score;
      if (options.shares_above) ShareOut(score - *options.shares_above, {means, d});
    }
    for (size_t j = 0; j < d; ++j) {
      out.contributions(i, static_cast<int64_t>(j)) = means[j];
      out.expected(i, static_cast<int64_t>(j)) = medians[j];
    }
  };
  RETURN_IF_ERROR(index.OfWithNext(X, std::max(k, options.seen), ctx, visit, options.ties));
  return out;
}

}  // namespace vedette::outlier
