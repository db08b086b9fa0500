// The loops of ball_cover.h for one kind of vector: included once for each.
#pragma once

#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

#include "outlier/kernels/ball_cover.h"

namespace vedette::outlier {
namespace {

/// Squared distances of a group's balls to `kRows` rows.
template <typename V, int kVectors, int kRows>
inline void GroupDistances(const double* lanes, const double* rows, int64_t features, int64_t stride,
                           V (&sum)[kRows][kVectors]) {
  for (auto& row : sum) {
    for (V& s : row) s = V::Zero();
  }
  for (int64_t j = 0; j < features; ++j, lanes += BallSets::kTogether) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const V center = V::LoadAny(lanes + v * V::kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const V gap = V::Set(rows[r * stride + j]) - center;
        sum[r][v] = Fma(gap, gap, sum[r][v]);
      }
    }
  }
}

/// Bit b is set where ball b of the group is no further away than its radius.
template <typename V, int kVectors>
inline unsigned Covering(const V (&sum)[kVectors], const double* radius) {
  unsigned mask = 0;
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; ++v) {
    mask |= sum[v].NotAbove(V::LoadAny(radius + v * V::kLanes)) << (v * V::kLanes);
  }
  return mask;
}

/// The worth of the last ball that covers a row, so far.
inline double Worth(const double* worth, unsigned covering, bool first, double before) {
  if (!first && covering == 0) return before;
  return worth[std::bit_width(covering)];
}

template <typename V, int kVectors, int kRows>
void ScoreSome(const BallSets& balls, const double* rows, double* scores) {
  constexpr int64_t kTogether = BallSets::kTogether;
  const int64_t groups = balls.groups();
  const double *lanes = balls.lanes(), *radius = balls.radius(), *worth = balls.worth();
  double total[kRows] = {};
  for (int64_t t = 0; t < balls.sets(); ++t) {
    double last[kRows] = {};
    for (int64_t g = 0; g < groups; ++g) {
      V sum[kRows][kVectors];
      GroupDistances<V, kVectors, kRows>(lanes, rows, balls.features(), balls.stride(), sum);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r)
        last[r] = Worth(worth, Covering<V, kVectors>(sum[r], radius), g == 0, last[r]);
      lanes += balls.features() * kTogether;
      radius += kTogether;
      worth += kTogether + 1;
    }
    for (int r = 0; r < kRows; ++r) total[r] += last[r];
  }
  for (int r = 0; r < kRows; ++r) scores[r] = total[r] / static_cast<double>(balls.sets());
}

constexpr int64_t kRowsTogether = 4;  // that share what is read of a set

template <typename V, int kVectors>
void ScoreBalls(const BallSets& balls, const double* rows, int64_t count, double* scores) {
  int64_t r = 0;
  for (; r + kRowsTogether <= count; r += kRowsTogether) {
    ScoreSome<V, kVectors, kRowsTogether>(balls, rows + r * balls.stride(), scores + r);
  }
  for (; r < count; ++r) ScoreSome<V, kVectors, 1>(balls, rows + r * balls.stride(), scores + r);
}

/// The set's worth of a row, its nearest ball and how far that is.
struct NearestBall {
  int64_t ball = 0;
  double squared = std::numeric_limits<double>::infinity(), worth = 0;
};

template <typename V, int kVectors, int kRows>
inline void Nearest(const BallSets& balls, int64_t set, const double* rows, NearestBall (&out)[kRows]) {
  constexpr int64_t kTogether = BallSets::kTogether;
  for (int64_t g = 0, at = set * balls.groups(); g < balls.groups(); ++g, ++at) {
    V sum[kRows][kVectors];
    GroupDistances<V, kVectors, kRows>(balls.lanes() + at * balls.features() * kTogether, rows, balls.features(),
                                       balls.stride(), sum);
    for (int r = 0; r < kRows; ++r) {
      const unsigned covering = Covering<V, kVectors>(sum[r], balls.radius() + at * kTogether);
      out[r].worth = Worth(balls.worth() + at * (kTogether + 1), covering, g == 0, out[r].worth);
      V least = sum[r][0];
      for (int v = 1; v < kVectors; ++v) least = Min(least, sum[r][v]);
      const double squared = Least(least);
      if (!(squared < out[r].squared)) continue;
      unsigned mask = 0;
      for (int v = 0; v < kVectors; ++v) mask |= sum[r][v].NotAbove(V::Set(squared)) << (v * V::kLanes);
      out[r].squared = squared;
      out[r].ball = g * kTogether + std::countr_zero(mask);
    }
  }
}

/// Adds what one set says of a row.
template <typename V>
inline void AddParts(const BallSets& balls, int64_t set, const NearestBall& nearest, const double* row, double* parts,
                     double* expected) {
  const int64_t stride = balls.stride(), features = balls.features();
  const double* const center = balls.centers() + (set * balls.size() + nearest.ball) * stride;
  const double share = 1 / static_cast<double>(balls.sets()), worth = share * nearest.worth,
               factor = worth / nearest.squared;
  if (!(nearest.squared >= DBL_MIN && std::fabs(factor) <= 1e290)) {  // at the center, or nearly
    for (int64_t j = 0; j < features; ++j) {
      const double gap = row[j] - center[j];
      const double part = nearest.squared > 0 ? gap * gap / nearest.squared : 1 / static_cast<double>(features);
      parts[j] = std::fma(worth, part, parts[j]);
      expected[j] = std::fma(share, center[j], expected[j]);
    }
    return;
  }
  for (int64_t j = 0; j < stride; j += V::kLanes) {
    const V value = V::LoadAny(center + j), gap = V::LoadAny(row + j) - value;
    Fma(gap * gap, V::Set(factor), V::LoadAny(parts + j)).Store(parts + j);
    Fma(value, V::Set(share), V::LoadAny(expected + j)).Store(expected + j);
  }
}

template <typename V, int kVectors, int kRows>
void ExplainSome(const BallSets& balls, const double* rows, double* parts, double* expected, double* scores) {
  const int64_t stride = balls.stride();
  for (int64_t j = 0; j < kRows * stride; ++j) parts[j] = expected[j] = 0;
  double total[kRows] = {};
  // Some sets are searched before what they say is added: neither loop then waits for the other.
  constexpr int64_t kSets = 16;
  for (int64_t from = 0; from < balls.sets(); from += kSets) {
    const int64_t some = balls.sets() - from < kSets ? balls.sets() - from : kSets;
    NearestBall nearest[kSets][kRows];
    for (int64_t t = 0; t < some; ++t) Nearest<V, kVectors, kRows>(balls, from + t, rows, nearest[t]);
    for (int64_t t = 0; t < some; ++t) {
      for (int r = 0; r < kRows; ++r) {
        total[r] += nearest[t][r].worth;
        AddParts<V>(balls, from + t, nearest[t][r], rows + r * stride, parts + r * stride, expected + r * stride);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) scores[r] = total[r] / static_cast<double>(balls.sets());
}

template <typename V, int kVectors>
void ExplainBalls(const BallSets& balls, const double* rows, int64_t count, double* parts, double* expected,
                  double* scores) {
  for (int64_t r = 0, some; r < count; r += some) {
    const int64_t at = r * balls.stride();
    some = count - r >= kRowsTogether ? kRowsTogether : 1;
    some == 1 ? ExplainSome<V, kVectors, 1>(balls, rows + at, parts + at, expected + at, scores + r)
              : ExplainSome<V, kVectors, kRowsTogether>(balls, rows + at, parts + at, expected + at, scores + r);
  }
}

}  // namespace
}  // namespace vedette::outlier
