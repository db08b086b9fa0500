// Synthetic tables with labelled anomalies, for the benchmark matrix of the model selection: laws of normal rows times
// kinds of anomalies. Nothing here is taken from a public data set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/matrix.h"

namespace vedette::selection {

/// global: uniform over a box around the normal rows. local: the neighbourhood's own law, wider. cluster: a small dense
/// group away from the others. dependency: each value is usual, together they are not. mixed: a quarter of each. group:
/// rows of a law of their own, as wide as the normal rows' and often among them. subspace: far off in a few columns.
/// contextual: a block of columns belongs to another normal row.
enum class Anomaly { kGlobal, kLocal, kCluster, kDependency, kMixed, kGroup, kSubspace, kContextual };
inline constexpr int kAnomalies = 8;

/// The normal rows. clusters; one correlated body; few directions in many columns; heavy tails; skewed; a curve; grades
/// (few distinct values); clusters of very different density and size; groups, each in few directions of its own;
/// counts; zeros (most values 0); columns of different kinds side by side; noisy (most columns say nothing); wide (50
/// to 150 columns); repeats (most rows occur several times).
enum class Law {
  kClusters,
  kCorrelated,
  kLowRank,
  kHeavy,
  kSkewed,
  kCurve,
  kGrades,
  kDensities,
  kGroups,
  kCounts,
  kZeros,
  kColumns,
  kNoisy,
  kWide,
  kRepeats
};
inline constexpr int kLaws = 15;

struct SyntheticSet {
  std::string name;  ///< "clusters/local/3"
  Law law;
  Anomaly anomaly;
  Matrix X;
  std::vector<uint8_t> labels;
};

/// The same for the same arguments on every machine. 150 to 1800 rows; sizes, units, the share of anomalies (0.5 % to
/// 35 % of the rows) and how many columns show them are drawn by `round`.
SyntheticSet MakeSet(Law law, Anomaly anomaly, int round);

}  // namespace vedette::selection
