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
#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {

constexpr size_t kSorted = 32;  // rows that are put in order in all columns at once

struct Exchange {
  uint8_t low, high;
};

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
    std::array<std::vector<Exchange>, kSorted + 1> all;
    for (size_t k = 1; k <= kSorted; ++k) all[k] = MiddleExchanges(k);
    return all;
  }();
  return networks[n];
}

/// What is summed, and how what is held comes back to the data's units: two powers of two, since one may not be a
/// double.
struct GapForm {
  double power = 2, unscale[2] = {1, 1};

  GapForm(const NeighborIndex& index, Metric metric)
      : power(metric.kind == MetricKind::kEuclidean   ? 2
              : metric.kind == MetricKind::kMinkowski ? metric.p
                                                      : 1) {
    const int exponent = -std::ilogb(index.unit());
    unscale[0] = std::ldexp(1.0, exponent / 2);
    unscale[1] = std::ldexp(1.0, exponent - exponent / 2);
  }
};

/// Mean powered gaps and medians of the values of `rows`, of 4 kVectors columns.
template <int kVectors>
void GapsOf(const GapForm& form, std::span<const double* const> rows, const double* x, size_t at, double* means,
            double* medians) {
  F64x4 values[kSorted][kVectors], sum[kVectors], own[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    own[v] = F64x4::LoadAny(x + at + 4 * static_cast<size_t>(v));
    sum[v] = F64x4::Zero();
  }
  const F64x4 unscale = F64x4::Set(form.unscale[0]), again = F64x4::Set(form.unscale[1]);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (int v = 0; v < kVectors; ++v) {
      const F64x4 value = F64x4::LoadAny(rows[r] + at + 4 * static_cast<size_t>(v)) * unscale * again;
      const F64x4 gap = Abs(own[v] - value);
      values[r][v] = value;
      if (form.power == 2) {
        sum[v] = Fma(gap, gap, sum[v]);
      } else if (form.power == 1) {
        sum[v] = sum[v] + gap;
      } else {
        double powered[4];
        gap.Store(powered);
        for (double& g : powered) g = std::pow(g, form.power);
        sum[v] = sum[v] + F64x4::LoadAny(powered);
      }
    }
  }
  for (const Exchange e : ExchangesFor(rows.size())) {
    for (int v = 0; v < kVectors; ++v) {
      const F64x4 a = values[e.low][v], b = values[e.high][v];
      values[e.low][v] = Min(a, b);
      values[e.high][v] = Max(a, b);
    }
  }
  const F64x4 count = F64x4::Set(static_cast<double>(rows.size())), most = F64x4::Set(DBL_MAX), half = F64x4::Set(0.5);
  for (int v = 0; v < kVectors; ++v) {
    const F64x4 low = values[(rows.size() - 1) / 2][v], high = values[rows.size() / 2][v], both = low + high;
    Min(sum[v] / count, most).Store(means + at + 4 * static_cast<size_t>(v));
    // Their middle, also where their sum is too large.
    WhereNotAbove(Abs(both), most, both * half, low * half + high * half)
        .Store(medians + at + 4 * static_cast<size_t>(v));
  }
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

absl::StatusOr<Attribution> NeighborGaps(const NeighborIndex& index, Metric metric, int64_t k, MatrixView X,
                                         const Context& ctx, int64_t ties, const GapTotal& total) {
  Attribution out{.contributions = Matrix::ForOverwrite(X.rows, X.cols),
                  .expected = Matrix::ForOverwrite(X.rows, X.cols),
                  .space = "distance"};
  if (metric.kind == MetricKind::kEuclidean) out.space = "squared distance";
  if (metric.kind == MetricKind::kMinkowski) out.space = "distance to the power p";
  const GapForm form(index, metric);
  const auto d = static_cast<size_t>(X.cols), padded = static_cast<size_t>(index.stride());
  const auto visit = [&](int64_t i, std::span<const double> distances, std::span<const int32_t> rows, int32_t next) {
    const bool itself = !rows.empty() && distances[0] == 0 && (rows.size() > 1 || next >= 0);
    absl::InlinedVector<const double*, kSorted> near;
    for (size_t r = itself ? 1 : 0; r < rows.size() && std::ssize(near) < k; ++r) near.push_back(index.Row(rows[r]));
    if (next >= 0 && std::ssize(near) < k) near.push_back(index.Row(next));
    absl::InlinedVector<double, 192> work(3 * padded);
    double *const x = work.data(), *const means = x + padded, *const medians = means + padded;
    for (size_t j = 0; j < d; ++j) x[j] = X(i, static_cast<int64_t>(j));
    if (near.empty()) {
      std::copy_n(x, d, medians);  // nothing to compare with
    } else if (near.size() > kSorted) {
      GapsOfMany(form, near, x, d, means, medians);
    } else {
      size_t at = 0;
      for (; at + 8 <= padded; at += 8) GapsOf<2>(form, near, x, at, means, medians);
      if (at < padded) GapsOf<1>(form, near, x, at, means, medians);
    }
    if (total != nullptr) ShareOut(total(distances, rows), {means, d});
    for (size_t j = 0; j < d; ++j) {
      out.contributions(i, static_cast<int64_t>(j)) = means[j];
      out.expected(i, static_cast<int64_t>(j)) = medians[j];
    }
  };
  RETURN_IF_ERROR(index.OfWithNext(X, k, ctx, visit, ties));
  return out;
}

}  // namespace vedette::outlier
