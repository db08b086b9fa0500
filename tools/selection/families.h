// Synthetic tables with labelled anomalies, for the benchmark matrix of the model selection: laws of normal rows times kinds
// of anomalies. Nothing here is taken from a public data set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/matrix.h"

namespace vedette::selection {

/// global: uniform over a box around the normal rows. local: the neighbourhood's own law, wider. cluster: a small dense group
/// away from the others. dependency: each value is usual, together they are not. mixed: a quarter of each.
enum class Anomaly { kGlobal, kLocal, kCluster, kDependency, kMixed };
inline constexpr int kAnomalies = 5;

/// The normal rows: clusters, one correlated body, few directions in many columns, heavy tails, skewed, a curve, grades.
enum class Law { kClusters, kCorrelated, kLowRank, kHeavy, kSkewed, kCurve, kGrades };
inline constexpr int kLaws = 7;

struct SyntheticSet {
  std::string name;  ///< "clusters/local/3"
  Matrix X;
  std::vector<uint8_t> labels;
};

/// The same for the same arguments on every machine. Sizes, shares and columns are drawn by `round`.
SyntheticSet MakeSet(Law law, Anomaly anomaly, int round);

}  // namespace vedette::selection
