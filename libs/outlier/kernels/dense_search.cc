#include "outlier/kernels/dense_search.h"

#include <absl/container/fixed_array.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "outlier/kernels/kth_bound.h"
#include "outlier/kernels/metric.h"
#include "outlier/kernels/processor.h"

namespace vedette::outlier {
namespace {

constexpr double kMaxNorm = 1e30;           // of a squared norm after scaling; sums of products stay finite in float32
constexpr double kSmallestSum = 1e-30;        // more than what underflowing products can lose
constexpr int64_t kChunkFloats = 16 << 10;  // of panels: 64 KiB stay in the second-level cache for all groups of a tile
constexpr int64_t kSeedRows = 1024;         // at most, for a seed
constexpr int64_t kSeedFloats = 256 << 10;  // of their panels at most
constexpr int64_t kMostGroup = 12;          // queries of any kernel's tile
constexpr int64_t kRowsPerLook = 256;       // at the context, while the panels are made

/// Bit r is set where values[r] <= bound, for kPanelRows values.
inline uint32_t NotAbove(const float* values, float bound) {
#if VEDETTE_F64X4_AVX2
  const __m256 limit = _mm256_set1_ps(bound);
  uint32_t mask = 0;
  for (int part = 0; part < 4; ++part) {
    const __m256 inside = _mm256_cmp_ps(_mm256_load_ps(values + 8 * part), limit, _CMP_LE_OQ);
    mask |= static_cast<uint32_t>(_mm256_movemask_ps(inside)) << (8 * part);
  }
  return mask;
#else
  uint32_t mask = 0;
  for (int64_t r = 0; r < kPanelRows; ++r) mask |= (values[r] <= bound ? 1U : 0U) << r;
  return mask;
#endif
}

}  // namespace

bool DenseTilePortable(const DenseTile& t) {
  constexpr int64_t kGroup = 6;
  bool any = false;
  for (int64_t q = 0; q < kGroup; ++q) {
    uint32_t mask = 0;
    for (int64_t r = 0; r < kPanelRows; ++r) {
      float sum = t.norms[r];
      for (int64_t j = 0; j < t.features; ++j) sum += t.queries[j * kGroup + q] * t.panel[j * kPanelRows + r];
      if (t.kept != nullptr) {
        t.kept[q * t.kept_stride + r] = sum;
      } else if (sum <= t.bounds[q]) {
        mask |= uint32_t{1} << r;
      }
    }
    if (t.kept != nullptr) continue;
    t.masks[q] = mask;
    any |= mask != 0;
  }
  return any;
}

void DenseRowPortable(const DenseRow& t) {
  for (int64_t p = 0; p < t.panel_count; ++p) {
    const float* panel = t.panels + p * kPanelRows * t.features;
    float sum[kPanelRows];
    std::copy_n(t.norms + p * kPanelRows, kPanelRows, sum);
    for (int64_t j = 0; j < t.features; ++j, panel += kPanelRows) {
      for (int64_t r = 0; r < kPanelRows; ++r) sum[r] += t.query[j] * panel[r];
    }
    std::copy_n(sum, kPanelRows, t.out + p * kPanelRows);
  }
}

#if VEDETTE_F64X4_AVX2
namespace {

/// Panels p ... p + kPanels - 1: eight sums for two panels, so that none waits for the one before it.
template <int kPanels>
void RowPanels(const DenseRow& t, int64_t p) {
  const int64_t step = kPanelRows * t.features;
  const float* panel = t.panels + p * step;
  __m256 sum[kPanels * 4];
  for (int i = 0; i < kPanels * 4; ++i) sum[i] = _mm256_load_ps(t.norms + p * kPanelRows + 8 * i);
  for (int64_t j = 0; j < t.features; ++j, panel += kPanelRows) {
    const __m256 x = _mm256_broadcast_ss(t.query + j);
#pragma GCC unroll 8
    for (int i = 0; i < kPanels * 4; ++i) {
      sum[i] = _mm256_fmadd_ps(x, _mm256_load_ps(panel + i / 4 * step + i % 4 * 8), sum[i]);
    }
  }
  for (int i = 0; i < kPanels * 4; ++i) _mm256_store_ps(t.out + p * kPanelRows + 8 * i, sum[i]);
}

}  // namespace

void DenseRowAvx2(const DenseRow& t) {
  int64_t p = 0;
  for (; p + 2 <= t.panel_count; p += 2) RowPanels<2>(t, p);
  if (p < t.panel_count) RowPanels<1>(t, p);
}

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
    if (t.kept != nullptr) {
      for (int q = 0; q < kGroup; ++q) {
        _mm256_store_ps(t.kept + q * t.kept_stride + 16 * half, a[q]);
        _mm256_store_ps(t.kept + q * t.kept_stride + 16 * half + 8, b[q]);
      }
      continue;
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
void DenseRowAvx2(const DenseRow& row) { DenseRowPortable(row); }
#endif

std::span<const DenseKernel> DenseKernels() {
  static const std::vector<DenseKernel> kernels = [] {
    std::vector<DenseKernel> found = {{6, DenseTilePortable, DenseRowPortable}};
#if VEDETTE_F64X4_AVX2
    found.push_back({6, DenseTileAvx2, DenseRowAvx2});
#endif
    if (HasAvx512()) found.push_back({12, DenseTileAvx512, DenseRowAvx512});
    return found;
  }();
  return kernels;
}

/// The mean of the rows, and the scale; false when stopped.
bool DenseSearch::FindCenter(const StopFn& stop) {
  const int64_t m = rows_->locations(), d = rows_->features();
  center_.assign(d, 0);
  for (int64_t i = 0; i < m; ++i) {
    if (i % kRowsPerLook == 0 && stop()) return false;
    for (int64_t j = 0; j < d; ++j) center_[j] += rows_->at(i)[j];
  }
  for (double& c : center_) c /= static_cast<double>(m);
  // The median norm becomes about 1, so that a few far rows do not cost the others their digits.
  std::vector<double> norms;
  for (int64_t i = 0; i < m; i += std::max<int64_t>(1, m / 1024)) {
    double sum = 0;
    for (int64_t j = 0; j < d; ++j) sum += (rows_->at(i)[j] - center_[j]) * (rows_->at(i)[j] - center_[j]);
    if (sum > 0 && std::isfinite(sum)) norms.push_back(sum);
  }
  if (!norms.empty()) {
    std::nth_element(norms.begin(), norms.begin() + static_cast<int64_t>(norms.size() / 2), norms.end());
    scale_ = std::ldexp(1.0, -std::ilogb(norms[norms.size() / 2]) / 2);
  }
  return true;
}

DenseSearch::DenseSearch(const UniqueRows& rows, const StopFn& stop) : rows_(&rows) {
  const int64_t m = rows.locations(), d = rows.features();
  margin_ = 1.01 * static_cast<double>(d + 8) * 0x1p-23;
  if (!FindCenter(stop)) return;
  slots_.resize(m);
  for (int64_t i = 0; i < m; ++i) slots_[i] = static_cast<int32_t>(i);
  Rng(0).Shuffle(slots_);
  panel_count_ = (m + kPanelRows - 1) / kPanelRows;
  panels_ = AlignedArray<float>(panel_count_ * kPanelRows * d);
  norms_ = AlignedArray<float>(panel_count_ * kPanelRows);
  const int64_t last = (panel_count_ - 1) * kPanelRows;  // beyond the last row: never enters
  std::fill(panels_.get() + last * d, panels_.get() + panels_.size(), 0.0F);
  std::fill(norms_.get() + last, norms_.get() + norms_.size(), std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i < m; ++i) {
    if (i % kRowsPerLook == 0 && stop()) return;
    const double norm =
        Pack(rows.at(slots_[i]), 1, kPanelRows, panels_.get() + i / kPanelRows * kPanelRows * d + i % kPanelRows);
    largest_norm_ = std::max(largest_norm_, norm);
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
  return std::nextafter(static_cast<float>(bound + kSmallestSum), FLT_MAX);
}

void DenseSearch::Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
                         const DenseKernel* kernel) const {
  const DenseKernel& use = kernel != nullptr ? *kernel : DenseKernels().back();
  size_t i = 0;
  for (; i + kFewQueries < queries.size(); i += kTileQueries) {
    const size_t count = std::min<size_t>(kTileQueries, queries.size() - i);
    SearchTile(queries.subspan(i, count), tops.subspan(i, count), stop, use);
  }
  for (; i < queries.size(); ++i) SearchOne(queries[i], tops[i], stop, use);
}

/// Rows that may enter one query.
struct DenseSearch::Candidates {
  int32_t slots[kSeedRows];
  double ranks[kSeedRows];
  int64_t found = 0;

  void Add(int64_t panel, uint32_t mask) {
    for (; mask != 0; mask &= mask - 1)
      slots[found++] = static_cast<int32_t>(panel * kPanelRows + std::countr_zero(mask));
  }
};

/// A tile of queries on their way through the panels.
struct DenseSearch::Tile {
  std::span<const double* const> queries;
  std::span<TopK> tops;
  AlignedArray<float> packed;
  float bounds[kTileQueries];
  double norms[kTileQueries];
  Candidates candidates;

  int64_t count() const { return static_cast<int64_t>(queries.size()); }
};

/// Offers what was found to the query. First all distances, which do not wait for each other, then all offers.
void DenseSearch::Measure(Candidates& candidates, const double* query, TopK& top) const {
  const RankOf<MetricKind::kEuclidean> rank{2};
  for (int64_t i = 0; i < candidates.found; ++i) {
    int32_t& slot = candidates.slots[i];
    slot = slots_[slot];
    candidates.ranks[i] = rank.Between(query, rows_->at(slot), rows_->stride());
  }
  for (int64_t i = 0; i < candidates.found; ++i) {
    if (candidates.ranks[i] <= top.bound()) top.Offer(candidates.ranks[i], rows_->members(candidates.slots[i]));
  }
  candidates.found = 0;
}

bool DenseSearch::CanSeed(int64_t rows, int64_t k) const {
  return std::isfinite(largest_norm_) && k <= kMostSeeded && rows >= 8 * k;
}

/// No value of a row that is among the k best of a query with this norm is above it.
float DenseSearch::SeedBound(const float* values, int64_t rows, int64_t k, double norm) const {
  // The true value is above the kept one by (1 - c)|x|^2 less and at most c (2 |x|^2 + 2 |y|^2); half as much again.
  const double lost = 3 * margin_ * (norm + largest_norm_) + kSmallestSum;
  const double limit = static_cast<double>(UpperBoundOfKth(values, rows, k)) + lost;
  return limit < kMaxNorm * 4 ? std::nextafter(static_cast<float>(limit), FLT_MAX) : FLT_MAX;  // also when NaN
}

int64_t DenseSearch::Seed(Tile& tile, const DenseKernel& kernel, const StopFn& stop) const {
  const int64_t d = rows_->features(), k = tile.tops.front().k();
  const int64_t most = std::clamp<int64_t>(kSeedFloats / (kPanelRows * d), 1, kSeedRows / kPanelRows);
  const int64_t panels = std::min(panel_count_, most), stride = panels * kPanelRows;
  if (!CanSeed(stride, k)) return 0;
  const AlignedArray<float> kept(kMostGroup * stride);
  for (int64_t first = 0; first < tile.count() && !stop(); first += kernel.group) {
    for (int64_t p = 0; p < panels; ++p) {
      kernel.tile({.panel = panels_.get() + p * kPanelRows * d,
                   .norms = norms_.get() + p * kPanelRows,
                   .queries = tile.packed.get() + first * d,
                   .features = d,
                   .kept = kept.get() + p * kPanelRows,
                   .kept_stride = stride});
    }
    for (int64_t q = first; q < std::min(tile.count(), first + kernel.group); ++q) {
      const float* values = kept.get() + (q - first) * stride;
      const float bound = std::min(SeedBound(values, stride, k, tile.norms[q]), tile.bounds[q]);
      for (int64_t p = 0; p < panels; ++p) {
        tile.candidates.Add(p, NotAbove(values + p * kPanelRows, bound));
      }
      Measure(tile.candidates, tile.queries[q], tile.tops[q]);
      tile.bounds[q] = Bound(tile.tops[q].bound(), tile.norms[q]);
    }
  }
  return panels;
}

void DenseSearch::SearchOne(const double* query, TopK& top, const StopFn& stop, const DenseKernel& kernel) const {
  constexpr int64_t kPanels = kSeedRows / kPanelRows;
  const int64_t d = rows_->features();
  absl::FixedArray<float, 256> packed(static_cast<size_t>(d));
  const double norm = Pack(query, -2, 1, packed.data());
  alignas(64) float values[kSeedRows];
  Candidates candidates;
  for (int64_t begin = 0; begin < panel_count_; begin += kPanels) {
    if (begin % (16 * kPanels) == 0 && stop()) return;
    const int64_t panels = std::min(kPanels, panel_count_ - begin);
    kernel.row({.panels = panels_.get() + begin * kPanelRows * d,
                .norms = norms_.get() + begin * kPanelRows,
                .query = packed.data(),
                .features = d,
                .panel_count = panels,
                .out = values});
    float bound = Bound(top.bound(), norm);
    if (begin == 0 && CanSeed(panels * kPanelRows, top.k())) {
      bound = std::min(bound, SeedBound(values, panels * kPanelRows, top.k(), norm));
    }
    for (int64_t p = 0; p < panels; ++p) candidates.Add(begin + p, NotAbove(values + p * kPanelRows, bound));
    Measure(candidates, query, top);
  }
}

void DenseSearch::SearchTile(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
                             const DenseKernel& kernel) const {
  const int64_t d = rows_->features();
  Tile tile{.queries = queries, .tops = tops, .packed = AlignedArray<float>(kTileQueries * d)};
  std::fill_n(tile.packed.get(), tile.packed.size(), 0.0F);
  std::fill_n(tile.bounds, kTileQueries, -FLT_MAX);  // slots without a query: nothing enters
  const auto group_of = [&](int64_t q) { return tile.packed.get() + q / kernel.group * kernel.group * d; };
  for (int64_t q = 0; q < tile.count(); ++q) {
    tile.norms[q] = Pack(queries[q], -2, kernel.group, group_of(q) + q % kernel.group);
    tile.bounds[q] = Bound(tops[q].bound(), tile.norms[q]);
  }
  const int64_t chunk = std::max<int64_t>(1, kChunkFloats / (kPanelRows * d));
  uint32_t masks[16];
  for (int64_t begin = Seed(tile, kernel, stop); begin < panel_count_; begin += chunk) {
    if (stop()) return;
    const int64_t end = std::min(panel_count_, begin + chunk);
    for (int64_t first = 0; first < tile.count(); first += kernel.group) {
      for (int64_t p = begin; p < end; ++p) {
        const bool any = kernel.tile({.panel = panels_.get() + p * kPanelRows * d,
                                      .norms = norms_.get() + p * kPanelRows,
                                      .queries = group_of(first),
                                      .bounds = tile.bounds + first,
                                      .features = d,
                                      .masks = masks});
        if (!any) continue;
        for (int64_t q = first; q < std::min(tile.count(), first + kernel.group); ++q) {
          if (masks[q - first] == 0) continue;
          tile.candidates.Add(p, masks[q - first]);
          Measure(tile.candidates, tile.queries[q], tile.tops[q]);
          tile.bounds[q] = Bound(tile.tops[q].bound(), tile.norms[q]);
        }
      }
    }
  }
}

}  // namespace vedette::outlier
