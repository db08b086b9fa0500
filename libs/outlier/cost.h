// What searches and passes cost, for the descriptors' estimates: seconds on one core of about 3 GHz with AVX2, measured
// by tools/bench and rounded. An estimate is good within a factor of about 3; it decides whether to start a fit, and
// says which algorithm is dearer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "outlier/detector.h"

namespace vedette::outlier {

/// Fixed part of a fit and of a scored row: calls, allocation, one page of state.
inline constexpr double kFitFloor = 1e-5, kRowFloor = 2e-8, kBytesFloor = 4096;

/// A pass over values takes 1 ns each while they stay in a core's own caches (some 1e5 of them), and ever more beyond: 1.6
/// ns where all come from memory (1e7).
inline double PassSeconds(double values) {
  return 1e-9 * values * (1 + 0.3 * std::clamp(std::log10(values / 1e5), 0.0, 2.0));
}

/// For algorithms that pass over the values `passes` times, with a model of `model_bytes`.
inline Cost PassCost(int64_t rows, int64_t features, double passes, double row_passes, double model_bytes) {
  const double values = static_cast<double>(rows) * static_cast<double>(features);
  return {.fit_seconds = kFitFloor + passes * PassSeconds(values),
          .score_seconds_per_row = kRowFloor + 1e-9 * row_passes * static_cast<double>(features),
          .fit_bytes = kBytesFloor + 8 * (values + static_cast<double>(rows)) + model_bytes,
          .model_bytes = kBytesFloor + model_bytes};
}

/// Passes that the ten starts of k-means take for each cluster: where no cluster stands out, the more rows there are,
/// the more rounds go by until none changes sides.
inline double LloydPasses(int64_t rows) {
  return std::min(300.0, 40 * std::pow(static_cast<double>(rows) / 1000, 0.5));
}

/// Passes that the sort and the ranks of a column take: rows are written in random order, beyond the caches' size ever
/// slower.
inline double RankPasses(int64_t rows) { return 18 * std::max(1.0, std::pow(static_cast<double>(rows) / 30000, 0.35)); }

/// Seconds to find a row's k neighbours among `rows`. The tree looks at a share of the rows that grows with the
/// features (by 1.65 each, for a normal cloud) and only with the log of the rows; until that is fewer than all of them,
/// which in ten columns takes some hundred thousand rows, the search of every row grows with the square. The more
/// neighbours, the more of the rows that are looked at may enter.
inline double NeighborSeconds(int64_t rows, int64_t features, int64_t k = 5) {
  const double n = static_cast<double>(rows), d = static_cast<double>(features);
  const double visited = std::min(n, 64 * std::pow(1.65, std::min(d, 40.0)) * std::log2(n + 2));
  return 4e-7 + 6e-8 * d + visited * (8e-11 + 1.7e-11 * d + 8e-12 * static_cast<double>(std::min<int64_t>(k, 100)));
}

/// For algorithms that search the neighbours of every row: the search, the rows themselves as the model, and
/// `row_seconds` of work on each row's neighbours.
inline Cost NeighborCost(int64_t rows, int64_t features, int64_t k, double row_seconds) {
  const double n = static_cast<double>(rows), d = static_cast<double>(features),
               row = NeighborSeconds(rows, features, k) + row_seconds;
  const double model = kBytesFloor + 8 * n * (d + 3);
  return {.fit_seconds = kFitFloor + n * row,
          .score_seconds_per_row = kRowFloor + row,
          .fit_bytes = 2 * model + 16 * n * static_cast<double>(k),
          .model_bytes = model};
}

}  // namespace vedette::outlier
