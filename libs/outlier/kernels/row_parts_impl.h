// The loops of row_parts.h for one kind of vector: included once for each.
#pragma once

#include <cstdint>

#include "outlier/kernels/row_parts.h"

namespace vedette::outlier {
namespace {

constexpr double kLargestPart = 1.7976931348623157e308;

/// Finite; what overflowed, even to NaN, is as large as can be.
template <typename V>
inline V FinitePart(V part) {
  const V most = V::Set(kLargestPart);
  return Max(WhereNotAbove(part, most, part, most), V::Zero() - most);
}

/// 1 / sqrt(x) for normal x > 0, within 2 units in the last place: Newton's method of fourth order, from a guess that
/// is off by at most 3.5%.
template <typename V>
inline V ReciprocalRoot(V x) {
  V y = RootGuess(x);
#pragma GCC unroll 2
  for (int round = 0; round < 2; ++round) {
    const V e = V::Set(1) - x * y * y;
    const V series = Fma(Fma(V::Set(0.3125), e, V::Set(0.375)), e, V::Set(0.5));
    y = Fma(y * e, series, y);
  }
  return y;
}

/// sum[r] = sum over n < count of a[r * row_step + n * step] * in[n * lanes ...], terms in order.
template <typename V, int kRows, int kVectors>
inline void Products(const double* a, int64_t row_step, int64_t step, int64_t count, const double* in, int64_t lanes,
                     V (&sum)[kRows][kVectors]) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = V::Zero();
  }
  for (int64_t n = 0; n < count; ++n, a += step, in += lanes) {
    V x[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) x[v] = V::LoadAny(in + v * V::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const V w = V::Set(a[r * row_step]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Fma(w, x[v], sum[r][v]);
    }
  }
}

template <int kRows>
struct RowCount {
  static constexpr int value = kRows;
};

/// f(i, RowCount<rows>()) for rows [i, i + rows), which cover [0, n): many at once first.
template <int kMost, typename F>
inline void ByRows(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kMost <= n; i += kMost) f(i, RowCount<kMost>());
  if constexpr (kMost > 4) {
    for (; i + 4 <= n; i += 4) f(i, RowCount<4>());
  }
  for (; i + 2 <= n; i += 2) f(i, RowCount<2>());
  for (; i < n; ++i) f(i, RowCount<1>());
}

template <typename V, int kVectors, int kMost>
void QuadraticGroup(const QuadraticForm& form, const double* x, int64_t lanes, double* work, double* parts,
                    int64_t stride) {
  const int64_t d = form.d;
  double* const z = work;
  double* const root = work + d * lanes;  // A z
  const V bound = V::Set(1e100);
  for (int64_t j = 0; j < d; ++j) {
    const V center = V::Set(form.center[j]), scale = V::Set(form.scale == nullptr ? 1.0 : form.scale[j]);
    for (int v = 0; v < kVectors; ++v) {
      V gap = V::LoadAny(x + j * lanes + v * V::kLanes) - center;
      if (form.scale != nullptr) gap = Max(Min(gap * scale, bound), V::Zero() - bound);
      gap.Store(z + j * lanes + v * V::kLanes);
    }
  }
  ByRows<kMost>(d, [&](int64_t i, auto several) {
    constexpr int kRows = several.value;
    V sum[kRows][kVectors];
    Products(form.A + i * d, d, 1, i + kRows, z, lanes, sum);
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sum[r][v].Store(root + (i + r) * lanes + v * V::kLanes);
    }
  });
  const V factor = V::Set(form.factor);
  ByRows<kMost>(d, [&](int64_t j, auto several) {
    constexpr int kRows = several.value;
    V sum[kRows][kVectors];
    Products(form.A + j * d + j, 1, d, d - j, root + j * lanes, lanes, sum);
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        const V value = V::LoadAny(z + (j + r) * lanes + v * V::kLanes);
        FinitePart(factor * value * sum[r][v]).Store(parts + (j + r) * stride + v * V::kLanes);
      }
    }
  });
}

template <typename V, int kVectors, int kMost>
void DirectionGroup(const Directions& form, const double* z, int64_t lanes, double* work, double* parts,
                    int64_t stride) {
  const int64_t d = form.d, count = form.count;
  V above[kVectors], all[kVectors];  // |z|^2 + 1; the sum of the factors
  for (int v = 0; v < kVectors; ++v) {
    above[v] = V::Set(1);
    all[v] = V::Zero();
  }
  for (int64_t j = 0; j < d; ++j) {
    for (int v = 0; v < kVectors; ++v) {
      const V value = V::LoadAny(z + j * lanes + v * V::kLanes);
      above[v] = Fma(value, value, above[v]);
    }
  }
  // |z - v|^2 = |z|^2 + 1 - 2 z.v; what divides the squared gaps is made of it.
  ByRows<kMost>(count, [&](int64_t c, auto several) {
    constexpr int kRows = several.value;
    V sum[kRows][kVectors];
    Products(form.vectors + c * d, d, 1, d, z, lanes, sum);
    for (int r = 0; r < kRows; ++r) {
      const V weight = V::Set(form.weights[c + r]);
      for (int v = 0; v < kVectors; ++v) {
        const V square = Fma(V::Set(-2), sum[r][v], above[v]);
        const V factor = WhereNotAbove(square, V::Zero(), V::Zero(), ReciprocalRoot(square) * weight);
        all[v] = all[v] + factor;
        factor.Store(work + (c + r) * lanes + v * V::kLanes);
      }
    }
  });
  ByRows<kMost>(d, [&](int64_t j, auto several) {
    constexpr int kRows = several.value;
    V linear[kRows][kVectors], constant[kRows][kVectors];
    Products(form.vectors + j, 1, d, count, work, lanes, linear);
    Products(form.squares + j, 1, d, count, work, lanes, constant);
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        const V value = V::LoadAny(z + (j + r) * lanes + v * V::kLanes);
        const V slope = Fma(V::Set(-2), linear[r][v], all[v] * value);
        const V part = Max(Fma(value, slope, constant[r][v]), V::Zero());
        FinitePart(part).Store(parts + (j + r) * stride + v * V::kLanes);
      }
    }
  });
}

template <typename V, int kVectors, int kMost>
void CenterGroup(const CenterBlocks& centers, const double* x, int64_t lanes, double unscale, double* parts,
                 double* expected, int64_t stride) {
  const int64_t d = centers.d;
  V least[kVectors], best[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    least[v] = V::Set(__builtin_inf());
    best[v] = V::Zero();
  }
  const int64_t blocks = (centers.count + 7) / 8;
  for (int64_t block = 0; block < blocks; ++block) {
    const double* const values = centers.values + block * d * 8;
    const int64_t here = centers.count - block * 8 < 8 ? centers.count - block * 8 : 8;
    ByRows<kMost>(here, [&](int64_t c, auto several) {
      constexpr int kRows = several.value;
      V sum[kRows][kVectors];
      for (auto& row : sum) {
        for (V& s : row) s = V::Zero();
      }
      for (int64_t j = 0; j < d; ++j) {
        V value[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) value[v] = V::LoadAny(x + j * lanes + v * V::kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const V center = V::Set(values[j * 8 + c + r]);
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) {
            const V gap = value[v] - center;
            sum[r][v] = Fma(gap, gap, sum[r][v]);
          }
        }
      }
      for (int r = 0; r < kRows; ++r) {
        const V index = V::Set(static_cast<double>(block * 8 + c + r));
        for (int v = 0; v < kVectors; ++v) {
          best[v] = WhereNotAbove(least[v], sum[r][v], best[v], index);
          least[v] = Min(sum[r][v], least[v]);
        }
      }
    });
  }
  const V factor = V::Set(unscale);
  int64_t place[kVectors * V::kLanes] = {};  // of each row's center
  for (int v = 0; v < kVectors && blocks > 1; ++v) {
    double index[V::kLanes];
    best[v].Store(index);
    for (int l = 0; l < V::kLanes; ++l) {
      const auto c = static_cast<int64_t>(index[l]);
      place[v * V::kLanes + l] = c / 8 * d * 8 + c % 8;
    }
  }
  for (int64_t j = 0; j < d; ++j) {
    for (int v = 0; v < kVectors; ++v) {
      V center;
      if (blocks == 1) {
        center = LookUp(centers.values + j * 8, best[v]);
      } else {
        double own[V::kLanes];
        for (int l = 0; l < V::kLanes; ++l) own[l] = centers.values[place[v * V::kLanes + l] + j * 8];
        center = V::LoadAny(own);
      }
      const V gap = (V::LoadAny(x + j * lanes + v * V::kLanes) - center) * factor;
      FinitePart(gap * gap).Store(parts + j * stride + v * V::kLanes);
      center.Store(expected + j * stride + v * V::kLanes);
    }
  }
}

}  // namespace
}  // namespace vedette::outlier
