#include "outlier/kernels/kmeans_kernels.h"

#include <limits>

#include "outlier/kernels/processor.h"
#include "outlier/kernels/simd.h"

namespace vedette::outlier {

void NearestCentersPortable(const CenterTile& t, CenterFound& found) {
  constexpr size_t kRows = CenterTile::kRows, kCenters = CenterTile::kCenters;
  for (size_t half = 0; half < kRows; half += 8) {
    F32x8 first = F32x8::Set(std::numeric_limits<float>::infinity()), second = first;
    F32x8 doubt = F32x8::Zero(), center = doubt;
    for (size_t g = 0; g < t.groups; ++g) {
      const float* x = t.rows + half;
      const float* c = t.centers + g * t.features * kCenters;
      F32x8 value[kCenters];
      for (size_t i = 0; i < kCenters; ++i) value[i] = F32x8::Set(t.norms[g * kCenters + i]);
      for (size_t j = 0; j < t.features; ++j, x += kRows, c += kCenters) {
        const F32x8 row = F32x8::LoadAny(x);
#pragma GCC unroll 8
        for (size_t i = 0; i < kCenters; ++i) value[i] = Fma(row, F32x8::Set(c[i]), value[i]);
      }
#pragma GCC unroll 8
      for (size_t i = 0; i < kCenters; ++i) {
        const size_t at = g * kCenters + i;
        center = WhereNotAbove(first, value[i], center, F32x8::Set(static_cast<float>(at)));
        doubt = WhereNotAbove(first, value[i], doubt, F32x8::Set(t.doubt[at]));
        second = Min(second, Max(first, value[i]));
        first = Min(first, value[i]);
      }
    }
    first.Store(found.first + half);
    second.Store(found.second + half);
    doubt.Store(found.doubt + half);
    center.Store(found.center + half);
  }
}

void TryCandidatesPortable(CandidateBlocks& t) {
  constexpr size_t kCandidates = CandidateBlocks::kCandidates;
  F64x4 total[kCandidates][2];
  for (size_t q = 0; q < kCandidates; ++q) {
    total[q][0] = F64x4::LoadAny(t.sums[q]);
    total[q][1] = F64x4::LoadAny(t.sums[q] + 4);
  }
  const double* values = t.values;
  for (size_t b = 0; b < t.blocks; ++b) {
    F64x4 sum[kCandidates][2];
    for (auto& q : sum) q[0] = q[1] = F64x4::Zero();
    for (size_t j = 0; j < t.features; ++j, values += 8) {
      const F64x4 low = F64x4::LoadAny(values), high = F64x4::LoadAny(values + 4);
#pragma GCC unroll 4
      for (size_t q = 0; q < kCandidates; ++q) {
        const F64x4 v = F64x4::Set(t.candidates[q][j]), a = v - low, c = v - high;
        sum[q][0] = Fma(a, a, sum[q][0]);
        sum[q][1] = Fma(c, c, sum[q][1]);
      }
    }
    for (size_t half = 0; half < 2; ++half) {
      const F64x4 nearest = F64x4::LoadAny(t.nearest + 8 * b + 4 * half);
      for (size_t q = 0; q < kCandidates; ++q) {
        const F64x4 least = Min(sum[q][half], nearest);
        least.Store(t.trial[q] + 8 * b + 4 * half);
        total[q][half] = total[q][half] + least;
      }
    }
  }
  for (size_t q = 0; q < kCandidates; ++q) {
    total[q][0].Store(t.sums[q]);
    total[q][1].Store(t.sums[q] + 4);
  }
}

namespace {

template <int kVectors>
void ExactCenters(const ExactTile& t) {
  F64x4 least[kVectors], best[kVectors];
  for (int v = 0; v < kVectors; ++v)
    least[v] = F64x4::Set(std::numeric_limits<double>::infinity()), best[v] = F64x4::Zero();
  for (size_t c = 0; c < t.count; ++c) {
    F64x4 sum[kVectors];
    for (F64x4& s : sum) s = F64x4::Zero();
    const double* center = t.centers + c / 8 * t.features * 8 + c % 8;
    const double* x = t.rows;
    for (size_t j = 0; j < t.features; ++j, center += 8, x += 4 * kVectors) {
      const F64x4 value = F64x4::Set(*center);
      for (int v = 0; v < kVectors; ++v) {
        const F64x4 gap = F64x4::LoadAny(x + 4 * v) - value;
        sum[v] = Fma(gap, gap, sum[v]);
      }
    }
    if (t.nearest != nullptr) {
      const F64x4 index = F64x4::Set(static_cast<double>(c));
      for (int v = 0; v < kVectors; ++v) best[v] = WhereNotAbove(least[v], sum[v], best[v], index);
    }
    for (int v = 0; v < kVectors; ++v) least[v] = Min(sum[v], least[v]);
  }
  for (int v = 0; v < kVectors; ++v) {
    least[v].Store(t.squared + 4 * v);
    if (t.nearest != nullptr) best[v].Store(t.nearest + 4 * v);
  }
}

}  // namespace

void ExactCentersPortable(const ExactTile& tile) {
  if (tile.lanes == 16)
    ExactCenters<4>(tile);
  else
    ExactCenters<1>(tile);
}

const KMeansKernel& FastestKMeansKernel() {
  static const KMeansKernel kernel = [] {
    if (HasAvx512()) return KMeansKernel{NearestCentersAvx512, TryCandidatesAvx512, ExactCentersAvx512};
    return KMeansKernel{NearestCentersPortable, TryCandidatesPortable, ExactCentersPortable};
  }();
  return kernel;
}

}  // namespace vedette::outlier
