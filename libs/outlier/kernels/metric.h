// Distances between rows. Searching compares "ranks", which order like the distance and cost less: the squared distance
// for Euclidean, the sum of p-th powers for Minkowski, the distance itself otherwise.
//
// One order of summation everywhere: four partial sums, over the features with the same index modulo 4, then
// (s0 + s2) + (s1 + s3). So every search structure gives the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "outlier/kernels/simd.h"

namespace vedette::outlier {

enum class MetricKind : uint8_t { kEuclidean, kManhattan, kChebyshev, kMinkowski };

struct Metric {
  MetricKind kind = MetricKind::kEuclidean;
  double p = 2;  ///< kMinkowski only

  /// `name` is one of euclidean, manhattan, chebyshev, minkowski; minkowski with p = 1 or 2 becomes the faster kind.
  static Metric Named(std::string_view name, double p) {
    if (name == "manhattan" || (name == "minkowski" && p == 1)) return {MetricKind::kManhattan, 1};
    if (name == "chebyshev") return {MetricKind::kChebyshev, 0};
    if (name == "minkowski" && p != 2) return {MetricKind::kMinkowski, p};
    return {MetricKind::kEuclidean, 2};
  }

  double DistanceOf(double rank) const {
    switch (kind) {
      case MetricKind::kEuclidean:
        return std::sqrt(rank);
      case MetricKind::kMinkowski:
        return std::pow(rank, 1 / p);
      default:
        return rank;
    }
  }
  double RankAt(double distance) const {
    switch (kind) {
      case MetricKind::kEuclidean:
        return distance * distance;
      case MetricKind::kMinkowski:
        return std::pow(distance, p);
      default:
        return distance;
    }
  }
};

/// Adds one feature's gap to four partial ranks.
template <MetricKind kKind>
struct RankOf {
  double p;
  F64x4 Add(F64x4 gap, F64x4 sum) const {
    if constexpr (kKind == MetricKind::kEuclidean) return Fma(gap, gap, sum);
    if constexpr (kKind == MetricKind::kManhattan) return sum + Abs(gap);
    if constexpr (kKind == MetricKind::kChebyshev) return Max(sum, Abs(gap));
    if constexpr (kKind == MetricKind::kMinkowski) {
      alignas(32) double lanes[4];
      Abs(gap).Store(lanes);
      for (double& x : lanes) x = std::pow(x, p);
      return sum + F64x4::Load(lanes);
    }
  }
  F64x4 Join(F64x4 a, F64x4 b) const {
    if constexpr (kKind == MetricKind::kChebyshev) return Max(a, b);
    return a + b;
  }
  double Join(double a, double b) const {
    if constexpr (kKind == MetricKind::kChebyshev) return a > b ? a : b;
    return a + b;
  }
  /// The rank of one vector of partial ranks (lane = feature modulo 4).
  double Total(F64x4 sum) const {
    double s[4];
    sum.Store(s);
    return Join(Join(s[0], s[2]), Join(s[1], s[3]));
  }
  /// Rank between two rows of `stride` doubles (a multiple of 4, filled up with zeros, 32-byte aligned).
  double Between(const double* a, const double* b, int64_t stride) const {
    F64x4 sum = F64x4::Zero();
    for (int64_t j = 0; j < stride; j += 4) sum = Add(F64x4::Load(a + j) - F64x4::Load(b + j), sum);
    return Total(sum);
  }
};

}  // namespace vedette::outlier
