// The loops of gaussian_means.h for one kind of vector: included once for each.
#pragma once

#include <absl/container/fixed_array.h>

#include <cstdint>
#include <type_traits>

#include "outlier/kernels/gaussian_means.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kMeanChunk = 16;    // blocks: their rows stay in the first cache from the kernels to the means
constexpr int64_t kMeanSegment = 64;  // blocks that are added up in lanes of their own type; in double beyond

/// 2^t of one type: the Chebyshev interpolant of 2^r on [-1/2, 1/2], highest power first, and what is added to round t
/// to whole numbers, in the low bits.
template <typename Value>
struct PowerTable;
/// Off by 9e-13; t in [-1000, 0] (and a little above).
template <>
struct PowerTable<double> {
  static constexpr int kTerms = 9;
  static constexpr double kTable[] = {1.3255224878668817e-06, 1.5310079402249296e-05, 0.00015403455852453838,
                                      0.0013333450568000645,  0.009618129159402558,   0.05550410941205933,
                                      0.2402265069581299,     0.6931471805459335,     1.0};
  static constexpr double kRound = 0x1.8p52, kLeast = -1000;
};
/// Times 2^60, so that more of what is far from all is a normal number, for t in [-180, 0]; off by 3e-7.
template <>
struct PowerTable<float> {
  static constexpr int kTerms = 6;
  static constexpr float kTable[] = {0.00133908633F, 0.00967603177F, 0.0555035695F,
                                     0.240221068F,   0.693147182F,   1.00000012F};
  static constexpr float kRound = 0x1.8p23F + 60, kLeast = -180;
};

template <typename V, typename Value = typename V::Value>
inline V PowerOfTwoOf(V t) {
  using Of = PowerTable<Value>;
  const V round = V::Set(Of::kRound), shifted = t + round, r = t - (shifted - round);
  V p = V::Set(Of::kTable[0]);
#pragma GCC unroll 8
  for (int i = 1; i < Of::kTerms; ++i) p = Fma(p, r, V::Set(Of::kTable[i]));
  return TimesPowerOfTwo(p, shifted);
}

template <typename V>
inline constexpr bool kInFloat = std::is_same_v<typename V::Value, float>;
template <typename V>
inline constexpr int kHalvesOf = GaussianMeanRows<typename V::Value>::kWidth / V::kLanes;

/// The sum of a block's lanes, in the same order whatever V is: each with that half the width away, again and again.
template <typename V>
inline double SumOfLanes(const V (&halves)[kHalvesOf<V>]) {
  return static_cast<double>(kHalvesOf<V> == 1 ? Sum(halves[0]) : Sum(halves[0] + halves[kHalvesOf<V> - 1]));
}

/// Of the rows of kBlocks blocks: factor 2 x.y of floats, |x - y|^2 of doubles.
template <typename V, int kQueries, int kBlocks, typename Value>
inline void Exponents(const GaussianMeanRows<Value>& in, int64_t block, const Value* const* x,
                      V (&t)[kBlocks][kQueries][kHalvesOf<V>]) {
  constexpr int kHalves = kHalvesOf<V>;
  const int64_t step = in.features * in.kWidth;
  const Value* values = in.values + block * step;
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 4
    for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) t[b][q][h] = V::Zero();
    }
  }
  for (int64_t j = 0; j < in.features; ++j, values += in.kWidth) {
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h) {
        const V row = V::LoadAny(values + b * step + h * V::kLanes);
#pragma GCC unroll 4
        for (int q = 0; q < kQueries; ++q) {
          V& own = t[b][q][h];
          if constexpr (kInFloat<V>) {
            own = Fma(V::Set(x[q][j]), row, own);
          } else {
            const V gap = V::Set(x[q][j]) - row;
            own = Fma(gap, gap, own);
          }
        }
      }
    }
  }
}

/// A chunk's kernels, and what has been summed of the segment; `most` as in GaussianMeanSums, lane by lane.
template <typename V, int kQueries>
struct MeanState {
  V total[kQueries][kHalvesOf<V>], most[kQueries][kHalvesOf<V>];
  alignas(64) typename V::Value kernel[kQueries][kMeanChunk * kHalvesOf<V> * V::kLanes];
};

template <typename V, int kQueries, int kBlocks, typename Value>
inline void AddKernels(const GaussianMeanRows<Value>& in, int64_t first, int64_t block, const Value* const* x,
                       const Value* shift, MeanState<V, kQueries>& state) {
  constexpr int kHalves = kHalvesOf<V>;
  V t[kBlocks][kQueries][kHalves];
  Exponents<V, kQueries, kBlocks>(in, block, x, t);
  const V least = V::Set(PowerTable<Value>::kLeast);
#pragma GCC unroll 4
  for (int q = 0; q < kQueries; ++q) {
    const V from = V::Set(shift[q]);
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) {
      V total = state.total[q][h], most = state.most[q][h];  // in registers from block to block
#pragma GCC unroll 8
      for (int b = 0; b < kBlocks; ++b) {
        const int64_t at = (block + b) * in.kWidth + h * V::kLanes;
        const V weight = V::LoadAny(in.weights + at);
        V kernel;
        if constexpr (kInFloat<V>) {
          const V exponent = t[b][q][h] + (weight + from);
          most = Max(most, exponent);
          kernel = PowerOfTwoOf(Max(exponent, least));
        } else {
          most = Max(most, V::Zero() - t[b][q][h]);
          kernel = PowerOfTwoOf(Max((from - t[b][q][h]) * V::Set(in.factor), least)) * weight;
        }
        total = total + kernel;
        kernel.Store(state.kernel[q] + at - first * in.kWidth);
      }
      state.total[q][h] = total;
      state.most[q][h] = most;
    }
  }
}

/// sums[f][q] += kernels times the values of kFeatures columns, over a chunk's blocks.
template <typename V, int kQueries, int kFeatures, typename Value>
inline void AddValues(const Value* values, int64_t step, int64_t blocks, const MeanState<V, kQueries>& state,
                      Value* sums) {
  constexpr int kWidth = GaussianMeanRows<Value>::kWidth;
  for (int64_t h = 0; h < kWidth; h += V::kLanes) {
    V sum[kFeatures][kQueries];
#pragma GCC unroll 8
    for (int f = 0; f < kFeatures; ++f) {
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) sum[f][q] = V::LoadAny(sums + (f * kQueries + q) * kWidth + h);
    }
    const Value* at = values + h;
    for (int64_t b = 0; b < blocks; ++b, at += step) {
      V w[kQueries];
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) w[q] = V::LoadAny(state.kernel[q] + b * kWidth + h);
#pragma GCC unroll 8
      for (int f = 0; f < kFeatures; ++f) {
        const V value = V::LoadAny(at + f * kWidth);
#pragma GCC unroll 4
        for (int q = 0; q < kQueries; ++q) sum[f][q] = Fma(w[q], value, sum[f][q]);
      }
    }
#pragma GCC unroll 8
    for (int f = 0; f < kFeatures; ++f) {
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) sum[f][q].Store(sums + (f * kQueries + q) * kWidth + h);
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

/// Adds blocks [first, end), a chunk, to the segment's sums. kBlocks side by side, then kRest, of which there are whole
/// ones.
template <typename V, int kQueries, int kBlocks, int kRest, int kFeatures, typename Value>
inline void AddChunk(const GaussianMeanRows<Value>& in, int64_t first, int64_t end, const Value* const* x,
                     const Value* shift, MeanState<V, kQueries>& state, Value* sums) {
  const int64_t step = in.features * in.kWidth;
  int64_t block = first;
  for (; block + kBlocks <= end; block += kBlocks) AddKernels<V, kQueries, kBlocks>(in, first, block, x, shift, state);
  for (; block < end; block += kRest) AddKernels<V, kQueries, kRest>(in, first, block, x, shift, state);
  const auto add = [&](int64_t j, auto several) {
    AddValues<V, kQueries, several.value>(in.values + first * step + j * in.kWidth, step, end - first, state,
                                          sums + j * kQueries * in.kWidth);
  };
  int64_t j = 0;
  for (; j + kFeatures <= in.features; j += kFeatures) add(j, FeatureCount<kFeatures>());
  EachRest<kFeatures - 1>(in.features - j, [&](auto several) { add(j, several); });
}

template <typename V, int kQueries, int kBlocks, int kRest, int kFeatures, typename Value>
void MeansOf(const GaussianMeanRows<Value>& in, const Value* const* x, const Value* shift,
             const GaussianMeanSums& out) {
  constexpr int kHalves = kHalvesOf<V>, kWidth = GaussianMeanRows<Value>::kWidth;
  const int64_t cells = in.features * kQueries;
  absl::FixedArray<Value, 2048> sums(static_cast<size_t>(cells * kWidth));
  MeanState<V, kQueries> state;
  double total[kQueries] = {};
  for (auto& most : state.most) {
    for (V& m : most) m = V::Set(static_cast<Value>(kInFloat<V> ? -3e38 : -1.7e308));
  }
  for (int64_t i = 0; i < in.features; ++i) {
    for (int q = 0; q < kQueries; ++q) out.means[q * in.features + i] = 0;
  }
  for (int64_t begin = 0; begin < in.blocks; begin += kMeanSegment) {
    const int64_t end = begin + kMeanSegment < in.blocks ? begin + kMeanSegment : in.blocks;
    for (Value& s : sums) s = 0;
    for (auto& own : state.total) {
      for (V& s : own) s = V::Zero();
    }
    for (int64_t first = begin; first < end; first += kMeanChunk) {
      const int64_t last = first + kMeanChunk < end ? first + kMeanChunk : end;
      AddChunk<V, kQueries, kBlocks, kRest, kFeatures>(in, first, last, x, shift, state, sums.data());
    }
    for (int q = 0; q < kQueries; ++q) {
      total[q] += SumOfLanes(state.total[q]);
      for (int64_t j = 0; j < in.features; ++j) {
        V own[kHalves];
        for (int h = 0; h < kHalves; ++h) own[h] = V::LoadAny(&sums[(j * kQueries + q) * kWidth + h * V::kLanes]);
        out.means[q * in.features + j] += SumOfLanes(own);
      }
    }
  }
  for (int q = 0; q < kQueries; ++q) {
    alignas(64) Value largest[kWidth];
    for (int h = 0; h < kHalves; ++h) state.most[q][h].Store(largest + h * V::kLanes);
    for (int i = 1; i < kWidth; ++i) largest[0] = largest[i] > largest[0] ? largest[i] : largest[0];
    out.most[q] = static_cast<double>(largest[0]);
    const double inverse = 1 / total[q];
    for (int64_t j = 0; j < in.features; ++j) out.means[q * in.features + j] *= inverse;
  }
}

/// Four rows at once, or one after the other: k* are {kBlocks, kRest, kFeatures} of MeansOf for four, and for one.
template <typename V, int kBlocks, int kRest, int kFeatures, int kOneBlocks, int kOneRest, typename Value>
void MeansOfRows(const GaussianMeanRows<Value>& in, const Value* const* x, const Value* shift, int count,
                 const GaussianMeanSums& out) {
  constexpr int kTogether = GaussianMeans::kTogether;
  if (count == kTogether) return MeansOf<V, kTogether, kBlocks, kRest, kFeatures>(in, x, shift, out);
  for (int q = 0; q < count; ++q) {
    MeansOf<V, 1, kOneBlocks, kOneRest, 8>(in, x + q, shift + q, {out.means + q * in.features, out.most + q});
  }
}

}  // namespace
}  // namespace vedette::outlier
