// The loops of gaussian_means.h for one kind of vector: included once for each.
#pragma once

#include <cstdint>

#include "outlier/kernels/gaussian_means.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kMeanChunk = 16;  // blocks: their rows stay in the first cache from the kernels to the means
constexpr double kLargestDouble = 1.7976931348623157e308;
constexpr double kLog2E = 1.4426950408889634, kLeastExponent = -1000;

/// The Chebyshev interpolant of 2^r on [-1/2, 1/2], highest power first: off by 9e-13.
constexpr double kAboutPowerOfTwo[] = {1.3255224878668817e-06, 1.5310079402249296e-05, 0.00015403455852453838,
                                       0.0013333450568000645,  0.009618129159402558,   0.05550410941205933,
                                       0.2402265069581299,     0.6931471805459335,     1.0};

/// 2^t for t in [-1000, 0] (and a little above).
template <typename V>
inline V PowerOfTwoOf(V t) {
  const V shift = V::Set(0x1.8p52);  // adding it rounds to whole numbers, in the low bits
  const V shifted = t + shift, r = t - (shifted - shift);
  V p = V::Set(kAboutPowerOfTwo[0]);
#pragma GCC unroll 8
  for (int i = 1; i < 9; ++i) p = Fma(p, r, V::Set(kAboutPowerOfTwo[i]));
  return TimesPowerOfTwo(p, shifted);
}

/// Adds up lane i with lane i + 4, then as four lanes: the same order whatever V is.
inline double SumOfEight(const double* v) {
  const double a = v[0] + v[4], b = v[1] + v[5], c = v[2] + v[6], d = v[3] + v[7];
  return (a + c) + (b + d);
}

/// Of the rows of kBlocks blocks: the binary logarithm of the kernel times 2^shift where distances are taken by
/// products, the squared distance else.
template <typename V, bool kProducts, int kQueries, int kBlocks>
inline void Exponents(const GaussianMeanRows& in, int64_t block, const double* const* x, const double* shift,
                      const double (*scaled)[kQueries], V (&t)[kBlocks][kQueries][8 / V::kLanes]) {
  constexpr int kHalves = 8 / V::kLanes;
  const auto d = static_cast<int64_t>(in.rows->features());
  const double* values = in.rows->block(static_cast<size_t>(block));
  const V factor = V::Set(-in.gamma * kLog2E);
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 4
    for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
        t[b][q][h] = kProducts ? Fma(V::LoadAny(in.norms + (block + b) * 8 + h * V::kLanes), factor, V::Set(shift[q]))
                               : V::Zero();
      }
    }
  }
  for (int64_t j = 0; j < d; ++j, values += 8) {
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
        const V row = V::LoadAny(values + b * d * 8 + h * V::kLanes);
#pragma GCC unroll 4
        for (int q = 0; q < kQueries; ++q) {
          V& own = t[b][q][h];
          if (kProducts) {
            own = Fma(V::Set(scaled[j][q]), row, own);
          } else {
            const V gap = V::Set(x[q][j]) - row;
            own = Fma(gap, gap, own);
          }
        }
      }
    }
  }
}

/// A chunk's kernels, and the running sums; `most` are the largest exponents, or minus the least squared distances.
template <typename V, int kQueries>
struct MeanState {
  static constexpr int kHalves = 8 / V::kLanes;
  V total[kQueries][kHalves], most[kQueries][kHalves];
  alignas(64) double kernel[kQueries][kMeanChunk * 8];
};

template <typename V, bool kProducts, int kQueries, int kBlocks>
inline void AddKernels(const GaussianMeanRows& in, int64_t first, int64_t block, const double* const* x,
                       const double* shift, const double (*scaled)[kQueries], MeanState<V, kQueries>& state) {
  constexpr int kHalves = 8 / V::kLanes;
  V t[kBlocks][kQueries][kHalves];
  Exponents<V, kProducts, kQueries, kBlocks>(in, block, x, shift, scaled, t);
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 4
    for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
        const int64_t at = (block + b) * 8 + h * V::kLanes;
        V exponent = t[b][q][h];
        if (!kProducts) exponent = V::Zero() - exponent;
        state.most[q][h] = Max(state.most[q][h], exponent);
        if (!kProducts) exponent = (exponent + V::Set(shift[q])) * V::Set(in.gamma * kLog2E);
        V kernel = PowerOfTwoOf(Max(exponent, V::Set(kLeastExponent)));
        if (in.weights != nullptr) kernel = kernel * V::LoadAny(in.weights + at);
        state.total[q][h] = state.total[q][h] + kernel;
        kernel.Store(state.kernel[q] + at - first * 8);
      }
    }
  }
}

/// sums[j][q] += kernels times the values of kFeatures columns from j, over a chunk's blocks.
template <typename V, int kQueries, int kFeatures>
inline void AddValues(const double* values, int64_t d, int64_t blocks, const double (*kernel)[kMeanChunk * 8],
                      double* sums) {
  constexpr int kHalves = 8 / V::kLanes;
  for (int h = 0; h < kHalves; ++h) {
    V sum[kFeatures][kQueries];
#pragma GCC unroll 8
    for (int f = 0; f < kFeatures; ++f) {
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) sum[f][q] = V::LoadAny(sums + (f * kQueries + q) * 8 + h * V::kLanes);
    }
    const double* at = values + h * V::kLanes;
    for (int64_t b = 0; b < blocks; ++b, at += d * 8) {
      V w[kQueries];
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) w[q] = V::LoadAny(kernel[q] + b * 8 + h * V::kLanes);
#pragma GCC unroll 8
      for (int f = 0; f < kFeatures; ++f) {
        const V value = V::LoadAny(at + f * 8);
#pragma GCC unroll 4
        for (int q = 0; q < kQueries; ++q) sum[f][q] = Fma(w[q], value, sum[f][q]);
      }
    }
#pragma GCC unroll 8
    for (int f = 0; f < kFeatures; ++f) {
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) sum[f][q].Store(sums + (f * kQueries + q) * 8 + h * V::kLanes);
    }
  }
}

template <int kFeatures>
struct FeatureCount {
  static constexpr int value = kFeatures;
};

/// f(FeatureCount<rest>()) for the rest in [1, kMost].
template <int kMost, typename F>
inline void EachRest(int64_t rest, const F& f) {
  if constexpr (kMost > 0) {
    if (rest == kMost) return f(FeatureCount<kMost>());
    EachRest<kMost - 1>(rest, f);
  }
}

/// work: features x kQueries x 8. kBlocks: side by side. Kernels are 2^(exponent + shift) where distances are taken by
/// products, else 2^(factor (shift - squared distance)).
template <typename V, bool kProducts, int kQueries, int kBlocks, int kFeatures>
void MeansOnce(const GaussianMeanRows& in, const double* const* x, const double* shift,
               const double (*scaled)[kQueries], double* work, double* most) {
  constexpr int kHalves = 8 / V::kLanes;
  const auto d = static_cast<int64_t>(in.rows->features());
  const auto blocks = static_cast<int64_t>(in.rows->padded() / 8);
  MeanState<V, kQueries> state;
  for (int q = 0; q < kQueries; ++q) {
    for (int h = 0; h < kHalves; ++h) {
      state.total[q][h] = V::Zero();
      state.most[q][h] = V::Set(-kLargestDouble);
    }
  }
  for (int64_t i = 0; i < d * kQueries * 8; ++i) work[i] = 0;
  for (int64_t first = 0; first < blocks; first += kMeanChunk) {
    const int64_t end = first + kMeanChunk < blocks ? first + kMeanChunk : blocks;
    int64_t block = first;
    for (; block + kBlocks <= end; block += kBlocks)
      AddKernels<V, kProducts, kQueries, kBlocks>(in, first, block, x, shift, scaled, state);
    for (; block < end; ++block) AddKernels<V, kProducts, kQueries, 1>(in, first, block, x, shift, scaled, state);
    const double* const values = in.rows->block(static_cast<size_t>(first));
    const auto add = [&](int64_t j, auto several) {
      AddValues<V, kQueries, several.value>(values + j * 8, d, end - first, state.kernel, work + j * kQueries * 8);
    };
    int64_t j = 0;
    for (; j + kFeatures <= d; j += kFeatures) add(j, FeatureCount<kFeatures>());
    EachRest<kFeatures - 1>(d - j, [&](auto several) { add(j, several); });
  }
  for (int q = 0; q < kQueries; ++q) {
    double total[8], largest[8];
    for (int h = 0; h < kHalves; ++h) {
      state.total[q][h].Store(total + h * V::kLanes);
      state.most[q][h].Store(largest + h * V::kLanes);
    }
    most[q] = largest[0];
    for (const double v : largest) most[q] = v > most[q] ? v : most[q];
    const double inverse = 1 / SumOfEight(total);
    for (int64_t j = 0; j < d; ++j) in.means[q * d + j] = SumOfEight(work + (j * kQueries + q) * 8) * inverse;
  }
}

/// work: features x kQueries x 9.
template <typename V, bool kProducts, int kQueries, int kBlocks, int kFeatures>
void MeansOfForm(const GaussianMeanRows& in, const double* const* x, double* work) {
  constexpr double kVanishing = -400;
  const auto d = static_cast<int64_t>(in.rows->features());
  auto* const scaled = reinterpret_cast<double(*)[kQueries]>(work + d * kQueries * 8);
  const double factor = in.gamma * kLog2E;
  double own[kQueries], shift[kQueries], most[kQueries];
  for (int q = 0; q < kQueries; ++q) {
    own[q] = 0;
    for (int64_t j = 0; j < d; ++j) {
      own[q] += x[q][j] * x[q][j];
      scaled[j][q] = 2 * factor * x[q][j];
    }
    own[q] = kProducts ? -factor * own[q] : 0;
    shift[q] = own[q];
  }
  MeansOnce<V, kProducts, kQueries, kBlocks, kFeatures>(in, x, shift, scaled, work, most);
  bool any = false;
  for (int q = 0; q < kQueries; ++q) {  // rows far from all: again, relative to the nearest; the others as before
    if ((kProducts ? most[q] : most[q] * factor) >= kVanishing) continue;
    shift[q] = own[q] - most[q];
    any = true;
  }
  if (!any) return;
  MeansOnce<V, kProducts, kQueries, kBlocks, kFeatures>(in, x, shift, scaled, work, most);
}

template <typename V, int kQueries, int kBlocks, int kFeatures>
void MeansOf(const GaussianMeanRows& in, const double* const* x, double* work) {
  if (in.by_products)
    MeansOfForm<V, true, kQueries, kBlocks, kFeatures>(in, x, work);
  else
    MeansOfForm<V, false, kQueries, kBlocks, kFeatures>(in, x, work);
}

}  // namespace
}  // namespace vedette::outlier
