// Histograms of projections: in which bin a projected value lies, for many rows side by side (Loda).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vedette::outlier {

/// Cuts (sparse projections) with a histogram each, and what its bins are worth.
struct HistogramCuts {
  static constexpr int kRows = 16;      ///< of a tile
  static constexpr int kMostBins = 15;  ///< their worths, and that of what lies beyond, fill two vectors
  const int32_t* begin = nullptr;       ///< [cuts + 1]: where a cut's columns begin in the next two
  const int32_t* column = nullptr;
  const double* weight = nullptr;
  const double* low = nullptr;      ///< [cuts]: the lower end
  const double* width = nullptr;    ///< [cuts]: of a bin
  const double* divisor = nullptr;  ///< [cuts]: the same, infinite where it is 0
  const double* worth = nullptr;    ///< [cuts][bins + 1]: the last one beyond the range
  int64_t cuts = 0, bins = 0;
};

/// Loops for processors with AVX-512, the same bits as the loops of loda.cc; null elsewhere.
struct HistogramKernel {
  /// sums[r] = sum over the cuts, in their order, of the worth of the bin that row r falls in. tile: feature by
  /// feature.
  void (*tile)(const HistogramCuts& cuts, const double* tile, double* sums) = nullptr;
  /// The same, and with[f * kRows + r] += the worths of the cuts that feature f is part of.
  void (*parts)(const HistogramCuts& cuts, const double* tile, double* sums, double* with) = nullptr;
  /// counts[b] += the values in bin b; values beyond the last edge fall into the last bin. None is below `low`.
  void (*count)(const double* values, size_t n, double low, double divisor, int64_t bins, int64_t* counts) = nullptr;
};
HistogramKernel HistogramKernelAvx512();

}  // namespace vedette::outlier
