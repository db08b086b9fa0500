#include "outlier/kernels/coalition_search.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

#include "outlier/kernels/metric.h"
#include "outlier/kernels/processor.h"
#include "outlier/kernels/simd.h"

namespace vedette::outlier {
namespace {

constexpr double kMostPart = 1e30;    // of a player; sums of these stay finite in float32
constexpr double kUnderflow = 1e-30;  // more than what underflowing parts can lose

/// Bit i is set where sums[8 i] <= bound, for eight of them.
inline unsigned EighthsNotAbove(const float* sums, float bound) {
#if VEDETTE_F64X4_AVX2
  const __m256 own = _mm256_i32gather_ps(sums, _mm256_setr_epi32(0, 8, 16, 24, 32, 40, 48, 56), 4);
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(own, _mm256_set1_ps(bound), _CMP_LE_OQ)));
#else
  unsigned mask = 0;
  for (int i = 0; i < 8; ++i) mask |= sums[8 * i] <= bound ? 1U << i : 0U;
  return mask;
#endif
}

}  // namespace

void CoalitionSumsPortable(const CoalitionSums& s) {
  constexpr int64_t kPanel = CoalitionSums::kPanel, kChoices = CoalitionSums::kChoices;
  constexpr int kVectors = kPanel / 8;
  for (int64_t m = 0; m < s.count; ++m) {
    uint64_t mask = s.masks[m];
    F32x8 sum[kVectors];
    const float* entry = s.table + static_cast<int64_t>(mask % kChoices) * kPanel;
    for (int v = 0; v < kVectors; ++v) sum[v] = F32x8::LoadAny(entry + 8 * v);
    const float* group = s.table;
    for (int64_t g = 1; g < s.groups; ++g) {
      mask /= kChoices;
      group += kChoices * kPanel;
      entry = group + static_cast<int64_t>(mask % kChoices) * kPanel;
      for (int v = 0; v < kVectors; ++v) sum[v] = sum[v] + F32x8::LoadAny(entry + 8 * v);
    }
    F32x8 least = sum[0];
    for (int v = 0; v < kVectors; ++v) {
      sum[v].Store(s.sums + m * s.sums_stride + 8 * v);
      least = Min(least, sum[v]);
    }
    least.Store(s.least + m * s.least_stride);
  }
}

std::span<const CoalitionKernel> CoalitionKernels() {
  static const std::vector<CoalitionKernel> kernels = [] {
    std::vector<CoalitionKernel> found = {CoalitionSumsPortable};
    if (HasAvx512()) found.push_back(CoalitionSumsAvx512);
    return found;
  }();
  return kernels;
}

CoalitionSearch::CoalitionSearch(const UniqueRows& fitted, double unit, const CoalitionRows& rows)
    : fitted_(&fitted),
      background_(rows.background.rows),
      players_(std::ssize(rows.players)),
      groups_(std::max<int64_t>(1, (players_ + kGroup - 1) / kGroup)),
      panels_((fitted.locations() + kPanel - 1) / kPanel),
      margin_(static_cast<double>(fitted.features() + 8) * 0x1p-23) {
  const int64_t d = fitted.features(), stride = fitted.stride(), m = fitted.locations();
  std::vector<bool> named(static_cast<size_t>(d), false);
  for (const auto& player : rows.players) {
    begin_.push_back(static_cast<int32_t>(columns_.size()));
    for (const int64_t j : player) {
      columns_.push_back(static_cast<int32_t>(j));
      named[static_cast<size_t>(j)] = true;
    }
  }
  begin_.push_back(static_cast<int32_t>(columns_.size()));
  for (int64_t j = 0; j < d; ++j) {
    if (!named[static_cast<size_t>(j)]) columns_.push_back(static_cast<int32_t>(j));
  }
  begin_.push_back(static_cast<int32_t>(columns_.size()));

  row_ = AlignedArray<double>(stride);
  background_rows_ = AlignedArray<double>(background_ * stride);
  std::fill_n(row_.get(), row_.size(), 0.0);
  std::fill_n(background_rows_.get(), background_rows_.size(), 0.0);
  for (int64_t j = 0; j < d; ++j) {
    row_[j] = rows.row[static_cast<size_t>(j)] * unit + 0.0;
    for (int64_t b = 0; b < background_; ++b) background_rows_[b * stride + j] = rows.background(b, j) * unit + 0.0;
  }
  values_ = AlignedArray<double>(panels_ * d * kPanel);
  std::fill_n(values_.get(), values_.size(), 0.0);
  std::vector<double> distances;
  const RankOf<MetricKind::kEuclidean> rank{2};
  for (int64_t t = 0; t < m; ++t) {
    double* out = values_.get() + t / kPanel * d * kPanel + t % kPanel;
    for (int64_t j = 0; j < d; ++j) out[j * kPanel] = fitted.at(t)[j];
    if (t % std::max<int64_t>(1, m / 256) == 0) {
      const double squared = rank.Between(background_rows_.get(), fitted.at(t), stride);
      if (squared > 0 && std::isfinite(squared)) distances.push_back(squared);
    }
  }
  if (!distances.empty()) {  // the median becomes about 1
    const auto middle = distances.begin() + static_cast<int64_t>(distances.size() / 2);
    std::nth_element(distances.begin(), middle, distances.end());
    scale_ = std::ldexp(1.0, std::clamp(-std::ilogb(*middle), -1000, 1000));
  }
  row_parts_ = AlignedArray<float>(panels_ * players_ * kPanel);
  for (int64_t panel = 0; panel < panels_; ++panel) {
    for (int64_t p = 0; p < players_; ++p) {
      Part(ColumnsOf(p), row_.get(), panel, row_parts_.get() + (panel * players_ + p) * kPanel);
    }
  }
}

void CoalitionSearch::Compose(int64_t b, uint64_t mask, double* out) const {
  std::copy_n(background_rows_.get() + b * fitted_->stride(), fitted_->stride(), out);
  for (; mask != 0; mask &= mask - 1) {
    for (const int32_t j : ColumnsOf(std::countr_zero(mask))) out[j] = row_[j];
  }
}

void CoalitionSearch::Part(std::span<const int32_t> columns, const double* query, int64_t panel, float* out) const {
  alignas(32) double sums[kPanel] = {};
  for (const int32_t j : columns) {
    const double* values = values_.get() + (panel * fitted_->features() + j) * kPanel;
    const double x = query[j];
    for (int64_t t = 0; t < kPanel; ++t) sums[t] += (x - values[t]) * (x - values[t]);
  }
  const F64x4 scale = F64x4::Set(scale_), most = F64x4::Set(kMostPart);
  for (int64_t t = 0; t < kPanel; t += 4) Min(F64x4::Load(sums + t) * scale, most).Store(sums + t);
  for (int64_t t = 0; t < kPanel; ++t) out[t] = static_cast<float>(sums[t]);
}

/// table[group][choice][kPanel]. The first group starts from the columns that nobody names.
void CoalitionSearch::Tabulate(int64_t b, int64_t panel, float* table) const {
  const double* query = background_rows_.get() + b * fitted_->stride();
  alignas(64) float part[kPanel];
  for (int64_t g = 0; g < groups_; ++g) {
    float* entries = table + g * kChoices * kPanel;
    if (g == 0) {
      Part(ColumnsOf(players_), query, panel, entries);
      // Beyond the last row: never enters.
      for (int64_t t = std::min(kPanel, fitted_->locations() - panel * kPanel); t < kPanel; ++t) {
        entries[t] = std::numeric_limits<float>::infinity();
      }
    } else {
      std::fill_n(entries, kPanel, 0.0F);
    }
    int64_t choices = 1;
    for (int64_t p = g * kGroup; p < std::min(players_, (g + 1) * kGroup); ++p, choices *= 2) {
      const float* with = row_parts_.get() + (panel * players_ + p) * kPanel;
      Part(ColumnsOf(p), query, panel, part);
      for (int64_t c = 0; c < choices; ++c) {
        float* without = entries + c * kPanel;
        float* other = entries + (choices + c) * kPanel;
        for (int64_t t = 0; t < kPanel; ++t) {
          other[t] = without[t] + with[t];
          without[t] += part[t];
        }
      }
    }
  }
}

/// What sums of rows within `squared` cannot exceed, rounded up; everything but padding enters where that is out of
/// range.
float CoalitionSearch::Bound(double squared, double slack) const {
  const double bound = squared * slack + kUnderflow;
  return bound < kMostPart / 2 ? std::nextafter(static_cast<float>(bound), FLT_MAX) : FLT_MAX;
}

/// No sum of a row that is among the k best of coalition m is above it.
float CoalitionSearch::SeedBound(const Scratch& scratch, int64_t m, int64_t panels, int64_t k) const {
  const double up = 1 + 2 * margin_;  // more than 1 / (1 - margin)
  const auto bound = [&](float kth) { return Bound(static_cast<double>(kth), up * up); };
  const int64_t vectors = k > 24 ? kManyClasses / 8 : k > 8 ? 4 : 2;  // of classes, the lanes of some panels each
  if (panels < vectors) {
    const bool enough = panels * kPanel >= std::max(8 * k, k > 24 ? kManyClasses : 32);
    return enough ? bound(UpperBoundOfKth(scratch.sums.get() + m * kStride, panels * kPanel, k)) : FLT_MAX;
  }
  alignas(32) float least[kManyClasses];
  const float* lanes = scratch.least.get() + m * kPanels * 8;
  for (int64_t c = 0; c < vectors; ++c) {
    F32x8 own = F32x8::LoadAny(lanes + 8 * c);
    for (int64_t p = c + vectors; p < panels; p += vectors) own = Min(own, F32x8::LoadAny(lanes + 8 * p));
    own.Store(least + 8 * c);
  }
  if (k <= 24) return bound(k > 8 ? KthSmallest<4>(least, k) : KthSmallest<2>(least, k));
  std::nth_element(least, least + (k - 1), least + kManyClasses);
  return bound(least[k - 1]);
}

/// Offers of the block at `first` what may be among the best of coalition m, whose row is the scratch's query. First
/// all distances, which do not wait for each other, then all offers.
void CoalitionSearch::Take(int64_t m, int64_t first, int64_t panels, TopK& top, Scratch& scratch) const {
  const float own = Bound(top.bound() * scale_, 1 + 2 * margin_);
  const float bound = top.full() ? own : std::min(own, SeedBound(scratch, m, panels, top.k()));
  const F32x8 bounds = F32x8::Set(bound);
  uint64_t hits[kPanels / 8] = {};  // bit 8 p + lane
  const float* least = scratch.least.get() + m * kPanels * 8;
  for (int64_t p = 0; p < panels; ++p) {
    hits[p / 8] |= uint64_t{F32x8::LoadAny(least + 8 * p).NotAbove(bounds)} << (8 * (p % 8));
  }
  int64_t found = 0;
  for (int64_t word = 0; word < kPanels / 8; ++word) {
    for (; hits[word] != 0; hits[word] &= hits[word] - 1) {
      const int bit = std::countr_zero(hits[word]);
      const int64_t place = (8 * word + bit / 8) * kPanel + bit % 8;
      const float* sums = scratch.sums.get() + m * kStride + place;
      for (unsigned eighths = EighthsNotAbove(sums, bound); eighths != 0; eighths &= eighths - 1) {
        scratch.slots[found++] = static_cast<int32_t>(first + place + 8 * std::countr_zero(eighths));
      }
    }
  }
  const RankOf<MetricKind::kEuclidean> rank{2};
  for (int64_t i = 0; i < found; ++i) {
    scratch.ranks[i] = rank.Between(scratch.query.get(), fitted_->at(scratch.slots[i]), fitted_->stride());
  }
  for (int64_t i = 0; i < found; ++i) {
    if (scratch.ranks[i] <= top.bound()) top.Offer(scratch.ranks[i], fitted_->members(scratch.slots[i]));
  }
}

void CoalitionSearch::Search(int64_t b, std::span<const uint64_t> masks, std::span<TopK> tops, Scratch& scratch,
                             const StopFn& stop, CoalitionKernel kernel) const {
  if (kernel == nullptr) kernel = CoalitionKernels().back();
  const int64_t step = groups_ * kChoices * kPanel;
  for (int64_t begin = 0; begin < panels_; begin += kPanels) {
    const int64_t panels = std::min(kPanels, panels_ - begin);
    for (int64_t p = 0; p < panels; ++p) Tabulate(b, begin + p, scratch.table.get() + p * step);
    for (size_t at = 0; at < masks.size(); at += kRound) {
      if (stop()) return;
      const std::span<const uint64_t> round = masks.subspan(at, std::min<size_t>(kRound, masks.size() - at));
      for (int64_t p = 0; p < panels; ++p) {
        kernel({.table = scratch.table.get() + p * step,
                .groups = groups_,
                .masks = round.data(),
                .count = std::ssize(round),
                .sums = scratch.sums.get() + p * kPanel,
                .sums_stride = kStride,
                .least = scratch.least.get() + p * 8,
                .least_stride = kPanels * 8});
      }
      for (size_t m = 0; m < round.size(); ++m) {
        Compose(b, round[m], scratch.query.get());
        Take(static_cast<int64_t>(m), begin * kPanel, panels, tops[at + m], scratch);
      }
    }
  }
}

}  // namespace vedette::outlier
