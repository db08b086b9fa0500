#include "outlier/kernels/dense_search.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/kernels/metric.h"

namespace vedette::outlier {
namespace {

constexpr double kMaxNorm = 1e30;           // of a squared norm after scaling; sums of products stay finite in float32
constexpr double kUnderflow = 1e-30;        // more than what underflowing products can lose
constexpr int64_t kChunkFloats = 16 << 10;  // of panels: 64 KiB stay in the second-level cache for all groups of a tile

}  // namespace

bool DenseTilePortable(const DenseTile& t) {
  constexpr int64_t kGroup = 6;
  bool any = false;
  for (int64_t q = 0; q < kGroup; ++q) {
    uint32_t mask = 0;
    for (int64_t r = 0; r < kPanelRows; ++r) {
      float sum = t.norms[r];
      for (int64_t j = 0; j < t.features; ++j) sum += t.queries[j * kGroup + q] * t.panel[j * kPanelRows + r];
      if (sum <= t.bounds[q]) mask |= uint32_t{1} << r;
    }
    t.masks[q] = mask;
    any |= mask != 0;
  }
  return any;
}

#if VEDETTE_F64X4_AVX2
bool DenseTileAvx2(const DenseTile& t) {
  constexpr int kGroup = 6;
  unsigned any = 0;
  for (int half = 0; half < 2; ++half) {  // 6 x 16 sums fill twelve of the sixteen registers
    const float* panel = t.panel + 16 * half;
    const float* x = t.queries;
    __m256 a[kGroup], b[kGroup];
    for (int q = 0; q < kGroup; ++q) {
      a[q] = _mm256_load_ps(t.norms + 16 * half);
      b[q] = _mm256_load_ps(t.norms + 16 * half + 8);
    }
    for (int64_t j = 0; j < t.features; ++j, panel += kPanelRows, x += kGroup) {
      const __m256 ya = _mm256_load_ps(panel), yb = _mm256_load_ps(panel + 8);
#pragma GCC unroll 6
      for (int q = 0; q < kGroup; ++q) {
        const __m256 xq = _mm256_broadcast_ss(x + q);
        a[q] = _mm256_fmadd_ps(xq, ya, a[q]);
        b[q] = _mm256_fmadd_ps(xq, yb, b[q]);
      }
    }
    for (int q = 0; q < kGroup; ++q) {
      const __m256 bound = _mm256_broadcast_ss(t.bounds + q);
      const auto low = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a[q], bound, _CMP_LE_OQ)));
      const auto high = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(b[q], bound, _CMP_LE_OQ)));
      const uint32_t mask = (low | high << 8) << (16 * half);
      t.masks[q] = half == 0 ? mask : t.masks[q] | mask;
      any |= mask;
    }
  }
  return any != 0;
}
#else
bool DenseTileAvx2(const DenseTile& tile) { return DenseTilePortable(tile); }
#endif

std::span<const DenseKernel> DenseKernels() {
  static const std::vector<DenseKernel> kernels = [] {
    std::vector<DenseKernel> found = {{6, DenseTilePortable}};
#if VEDETTE_F64X4_AVX2
    found.push_back({6, DenseTileAvx2});
#endif
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) found.push_back({12, DenseTileAvx512});
#endif
    return found;
  }();
  return kernels;
}

DenseSearch::DenseSearch(const UniqueRows& rows) : rows_(&rows) {
  const int64_t m = rows.locations(), d = rows.features();
  margin_ = 1.01 * static_cast<double>(d + 8) * 0x1p-23;
  center_.assign(d, 0);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < d; ++j) center_[j] += rows.at(i)[j];
  }
  for (double& c : center_) c /= static_cast<double>(m);
  // The median norm becomes about 1, so that a few far rows do not cost the others their digits.
  std::vector<double> norms;
  for (int64_t i = 0; i < m; i += std::max<int64_t>(1, m / 1024)) {
    double sum = 0;
    for (int64_t j = 0; j < d; ++j) sum += (rows.at(i)[j] - center_[j]) * (rows.at(i)[j] - center_[j]);
    if (sum > 0 && std::isfinite(sum)) norms.push_back(sum);
  }
  if (!norms.empty()) {
    std::nth_element(norms.begin(), norms.begin() + static_cast<int64_t>(norms.size() / 2), norms.end());
    scale_ = std::ldexp(1.0, -std::ilogb(norms[norms.size() / 2]) / 2);
  }
  slots_.resize(m);
  for (int64_t i = 0; i < m; ++i) slots_[i] = static_cast<int32_t>(i);
  Rng(0).Shuffle(slots_);
  panel_count_ = (m + kPanelRows - 1) / kPanelRows;
  panels_ = AlignedArray<float>(panel_count_ * kPanelRows * d);
  norms_ = AlignedArray<float>(panel_count_ * kPanelRows);
  std::fill_n(panels_.get(), panels_.size(), 0.0F);
  std::fill_n(norms_.get(), norms_.size(),
              std::numeric_limits<float>::infinity());  // beyond the last row: never enters
  for (int64_t i = 0; i < m; ++i) {
    const double norm =
        Pack(rows.at(slots_[i]), 1, kPanelRows, panels_.get() + i / kPanelRows * kPanelRows * d + i % kPanelRows);
    norms_[i] =
        std::isfinite(norm) ? static_cast<float>((1 - margin_) * norm) : -FLT_MAX;  // out of range: always enters
  }
}

double DenseSearch::Pack(const double* row, float factor, int64_t step, float* out) const {
  double norm = 0;
  const auto d = static_cast<int64_t>(center_.size());
  for (int64_t j = 0; j < d; ++j) {
    const double v = (row[j] - center_[j]) * scale_;
    norm += v * v;
    out[j * step] = factor * static_cast<float>(v);
  }
  if (norm <= kMaxNorm) return norm;
  for (int64_t j = 0; j < d; ++j) out[j * step] = 0;
  return std::numeric_limits<double>::infinity();
}

// Rounded up. Everything but padding enters a query that has not got its k yet, or is out of range.
float DenseSearch::Bound(double rank, double norm) const {
  const double bound = rank * scale_ * scale_ - (1 - margin_) * norm;
  if (!std::isfinite(norm) || !(bound < kMaxNorm * 4)) return FLT_MAX;
  return std::nextafter(static_cast<float>(bound + kUnderflow), FLT_MAX);
}

void DenseSearch::Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
                         const DenseKernel* kernel) const {
  const DenseKernel& use = kernel != nullptr ? *kernel : DenseKernels().back();
  for (size_t i = 0; i < queries.size(); i += kTileQueries) {
    const size_t count = std::min<size_t>(kTileQueries, queries.size() - i);
    SearchTile(queries.subspan(i, count), tops.subspan(i, count), stop, use);
  }
}

void DenseSearch::SearchTile(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
                             const DenseKernel& kernel) const {
  const auto count = static_cast<int64_t>(queries.size());
  const int64_t d = rows_->features(), stride = rows_->stride();
  const RankOf<MetricKind::kEuclidean> rank{2};
  AlignedArray<float> packed(kTileQueries * d);
  float bounds[kTileQueries];
  double norms[kTileQueries];
  std::fill_n(packed.get(), packed.size(), 0.0F);
  std::fill_n(bounds, kTileQueries, -FLT_MAX);  // slots without a query: nothing enters
  const auto group_of = [&](int64_t q) { return packed.get() + q / kernel.group * kernel.group * d; };
  for (int64_t q = 0; q < count; ++q) {
    norms[q] = Pack(queries[q], -2, kernel.group, group_of(q) + q % kernel.group);
    bounds[q] = Bound(tops[q].bound(), norms[q]);
  }
  const int64_t chunk = std::max<int64_t>(1, kChunkFloats / (kPanelRows * d));
  uint32_t masks[16];
  for (int64_t begin = 0; begin < panel_count_; begin += chunk) {
    if (stop()) return;
    const int64_t end = std::min(panel_count_, begin + chunk);
    for (int64_t first = 0; first < count; first += kernel.group) {
      for (int64_t p = begin; p < end; ++p) {
        const DenseTile tile{panels_.get() + p * kPanelRows * d,
                             norms_.get() + p * kPanelRows,
                             group_of(first),
                             bounds + first,
                             d,
                             masks};
        if (!kernel.tile(tile)) continue;
        for (int64_t q = first; q < std::min(count, first + kernel.group); ++q) {
          if (masks[q - first] == 0) continue;
          for (uint32_t mask = masks[q - first]; mask != 0; mask &= mask - 1) {
            const int64_t slot = p * kPanelRows + std::countr_zero(mask);
            const int32_t location = slots_[slot];
            const double r = rank.Between(queries[q], rows_->at(location), stride);
            if (r <= tops[q].bound()) tops[q].Offer(r, rows_->members(location));
          }
          bounds[q] = Bound(tops[q].bound(), norms[q]);
        }
      }
    }
  }
}

}  // namespace vedette::outlier
