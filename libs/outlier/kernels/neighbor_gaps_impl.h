// The inner loop of neighbor_gaps.cc for one kind of vector: included once for each.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace vedette::outlier {

inline constexpr size_t kGapRows = 64;  ///< that are put in order in all columns at once

/// What is summed, and how what is held comes back to the data's units: two powers of two, since one may not be a
/// double.
struct GapForm {
  double power = 2, unscale[2] = {1, 1};
};

/// The lower value to `low`, the higher to `high`.
struct Exchange {
  uint8_t low, high;
};

/// A row x, its neighbours (their columns times the unit), and the exchanges that bring the middle ones to their
/// places.
struct GapRows {
  const double* const* rows = nullptr;
  size_t count = 0;  ///< 1 to kGapRows
  const Exchange* exchanges = nullptr;
  size_t exchange_count = 0;
  const double* x = nullptr;
  double *means = nullptr, *medians = nullptr;  ///< of each column
};

/// Mean powered gaps, at most the largest double, and medians, of `columns` columns, a multiple of 8; the same bits in
/// either form.
void GapsOfColumns(const GapForm& form, const GapRows& rows, size_t columns);
void GapsOfColumnsAvx512(const GapForm& form, const GapRows& rows, size_t columns);

namespace {

template <typename V, int kVectors, bool kSquares>
inline void GapsOfForm(const GapForm& form, const GapRows& in, size_t at) {
  V values[kGapRows][kVectors], sum[kVectors], own[kVectors];
#pragma GCC unroll 3
  for (int v = 0; v < kVectors; ++v) {
    own[v] = V::LoadAny(in.x + at + static_cast<size_t>(v * V::kLanes));
    sum[v] = V::Zero();
  }
  const V unscale = V::Set(form.unscale[0]), again = V::Set(form.unscale[1]);
  for (size_t r = 0; r < in.count; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      const V value = V::LoadAny(in.rows[r] + at + static_cast<size_t>(v * V::kLanes)) * unscale * again;
      const V gap = Abs(own[v] - value);
      values[r][v] = value;
      if (kSquares) {
        sum[v] = Fma(gap, gap, sum[v]);
      } else if (form.power == 1) {
        sum[v] = sum[v] + gap;
      } else {
        double powered[V::kLanes];
        gap.Store(powered);
        for (double& g : powered) g = std::pow(g, form.power);
        sum[v] = sum[v] + V::LoadAny(powered);
      }
    }
  }
  for (size_t e = 0; e < in.exchange_count; ++e) {
    V* const low = values[in.exchanges[e].low];
    V* const high = values[in.exchanges[e].high];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      const V a = low[v], b = high[v];
      low[v] = Min(a, b);
      high[v] = Max(a, b);
    }
  }
  const V count = V::Set(static_cast<double>(in.count)), most = V::Set(1.7976931348623157e308), half = V::Set(0.5);
#pragma GCC unroll 3
  for (int v = 0; v < kVectors; ++v) {
    const size_t to = at + static_cast<size_t>(v * V::kLanes);
    const V low = values[(in.count - 1) / 2][v], high = values[in.count / 2][v], both = low + high;
    Min(sum[v] / count, most).Store(in.means + to);
    // Their middle, also where their sum is too large.
    WhereNotAbove(Abs(both), most, both * half, low * half + high * half).Store(in.medians + to);
  }
}

template <typename V, int kVectors>
inline void GapsOf(const GapForm& form, const GapRows& in, size_t at) {
  form.power == 2 ? GapsOfForm<V, kVectors, true>(form, in, at) : GapsOfForm<V, kVectors, false>(form, in, at);
}

}  // namespace
}  // namespace vedette::outlier
