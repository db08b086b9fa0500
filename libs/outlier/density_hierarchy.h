// The density hierarchy of HDBSCAN (Campello, Moulavi, Sander 2013): which rows hang together at which radius, and which of
// those groups are clusters.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"

namespace vedette::outlier {

/// A cluster lives on radii below `birth`, until it falls apart. Its parent comes before it; the first one has none.
struct DensityCluster {
  int32_t parent = -1;
  double birth = 0;     ///< the largest double for the first
  double densest = 0;   ///< the smallest positive radius at which it, or a cluster within it, still lives
};

struct DensityHierarchy {
  std::vector<DensityCluster> clusters;
  std::vector<int32_t> cluster;  ///< of each row: the last that it belongs to
  std::vector<double> leaves;    ///< of each row: the radius below which it belongs to none
};

struct DensityEdge {
  double radius = 0;
  int32_t a = 0, b = 0;
};

/// The minimum spanning tree of the mutual reachability max(core_a, core_b, |a - b|): n - 1 edges by Prim's algorithm, in
/// O(n^2 d) time and O(n d) memory. `rows`: n x d, row-major; all finite.
absl::StatusOr<std::vector<DensityEdge>> ReachabilityTree(std::span<const double> rows, int64_t d, std::span<const double> core,
                                                          const Context& ctx);

/// The clusters of at least `least` rows. Edges of equal radius break at once, so that the answer does not depend on which of
/// several equally short trees is given.
DensityHierarchy HierarchyOf(std::vector<DensityEdge> edges, int64_t n, int64_t least);

}  // namespace vedette::outlier
