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
inline void GroupDistances(const double* lanes, const double* rows, int64_t features, V (&sum)[kRows][kVectors]) {
  for (auto& row : sum) {
    for (V& s : row) s = V::Zero();
  }
  for (int64_t j = 0; j < features; ++j, lanes += BallSets::kTogether) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const V center = V::LoadAny(lanes + v * V::kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const V gap = V::Set(rows[r * features + j]) - center;
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
      GroupDistances<V, kVectors, kRows>(lanes, rows, balls.features(), sum);
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

template <typename V, int kVectors>
void ScoreBalls(const BallSets& balls, const double* rows, int64_t count, double* scores) {
  constexpr int64_t kRows = 4;  // that share what is read of a set
  int64_t r = 0;
  for (; r + kRows <= count; r += kRows) {
    ScoreSome<V, kVectors, kRows>(balls, rows + r * balls.features(), scores + r);
  }
  for (; r < count; ++r) ScoreSome<V, kVectors, 1>(balls, rows + r * balls.features(), scores + r);
}

/// The set's worth of a row, its nearest ball and how far that is.
struct NearestBall {
  int64_t ball;
  double squared, worth;
};

template <typename V, int kVectors>
inline NearestBall Nearest(const BallSets& balls, int64_t set, const double* row) {
  constexpr int64_t kTogether = BallSets::kTogether;
  NearestBall out{0, std::numeric_limits<double>::infinity(), 0};
  for (int64_t g = 0, at = set * balls.groups(); g < balls.groups(); ++g, ++at) {
    V sum[1][kVectors];
    GroupDistances<V, kVectors, 1>(balls.lanes() + at * balls.features() * kTogether, row, balls.features(), sum);
    const unsigned covering = Covering<V, kVectors>(sum[0], balls.radius() + at * kTogether);
    out.worth = Worth(balls.worth() + at * (kTogether + 1), covering, g == 0, out.worth);
    V least = sum[0][0];
    for (int v = 1; v < kVectors; ++v) least = Min(least, sum[0][v]);
    const double squared = Least(least);
    if (!(squared < out.squared)) continue;
    unsigned mask = 0;
    for (int v = 0; v < kVectors; ++v) mask |= sum[0][v].NotAbove(V::Set(squared)) << (v * V::kLanes);
    out.squared = squared;
    out.ball = g * kTogether + std::countr_zero(mask);
  }
  return out;
}

template <typename V, int kVectors>
double ExplainBalls(const BallSets& balls, const double* row, double* parts, double* expected) {
  const int64_t stride = balls.stride(), features = balls.features();
  for (int64_t j = 0; j < stride; ++j) parts[j] = expected[j] = 0;
  const double share = 1 / static_cast<double>(balls.sets());
  double total = 0;
  for (int64_t t = 0; t < balls.sets(); ++t) {
    const NearestBall nearest = Nearest<V, kVectors>(balls, t, row);
    const double* const center = balls.centers() + (t * balls.size() + nearest.ball) * stride;
    total += nearest.worth;
    const double worth = share * nearest.worth, factor = worth / nearest.squared;
    if (!(nearest.squared >= DBL_MIN && std::fabs(factor) <= 1e290)) {  // at the center, or nearly
      for (int64_t j = 0; j < features; ++j) {
        const double gap = row[j] - center[j];
        parts[j] += worth * (nearest.squared > 0 ? gap * gap / nearest.squared : 1 / static_cast<double>(features));
        expected[j] += share * center[j];
      }
      continue;
    }
    for (int64_t j = 0; j < stride; j += V::kLanes) {
      const V value = V::LoadAny(center + j), gap = V::LoadAny(row + j) - value;
      Fma(gap * gap, V::Set(factor), V::LoadAny(parts + j)).Store(parts + j);
      Fma(value, V::Set(share), V::LoadAny(expected + j)).Store(expected + j);
    }
  }
  return total / static_cast<double>(balls.sets());
}

}  // namespace
}  // namespace vedette::outlier
