// k-means clustering (Lloyd 1982), started by greedy k-means++ (Arthur, Vassilvitskii 2007): the meaning of
// scikit-learn's KMeans. The same seed gives the same bits at any thread count.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/context.h"

namespace vedette::outlier {

struct KMeansFit {
  std::vector<double> centers;  ///< clusters x d, row-major; clusters <= what was asked for (distinct rows)
  std::vector<int32_t> labels;  ///< of each row
  std::vector<int64_t> sizes;
  double inertia = 0;  ///< sum of squared distances
};

struct KMeansOptions {
  int64_t clusters = 8, starts = 10, iterations = 300;
  double tolerance = 1e-4;  ///< of the mean variance of the columns: a smaller move of the centers ends a run
};

/// rows: n x d, row-major, |values| <= 1e100. The best of `starts` runs.
absl::StatusOr<KMeansFit> KMeans(std::span<const double> rows, int64_t n, int64_t d, const KMeansOptions& options,
                                 const Context& ctx);

/// Finds the nearest of a few centers: centers are held feature by feature, so that a row is compared with all at once.
class NearestCenter {
 public:
  NearestCenter() = default;
  NearestCenter(std::span<const double> centers, size_t clusters, size_t d);
  /// Index of the nearest center (the lowest of several) and its squared distance.
  size_t Find(const double* x, double* squared) const;
  /// Squared distances of the rows of a tile (see RowTile: feature by feature, 4 or 16 rows side by side) to the
  /// nearest of the first `clusters` centers; `nearest` gets which those are, unless it is null.
  void FindTile(const double* tile, int lanes, size_t clusters, double* squared, double* nearest) const;
  /// Squared gaps of the rows of a tile to their nearest of the first `clusters` centers, and that center, as they are
  /// without `unit` (see CenterParts); false, and nothing, where its inverse is no finite double.
  bool PartsTile(const double* tile, int lanes, size_t clusters, double unit, double* parts, double* expected,
                 int64_t stride) const;
  size_t clusters() const { return clusters_; }

 private:
  size_t clusters_ = 0, padded_ = 0, d_ = 0;
  std::vector<double> values_;
};

}  // namespace vedette::outlier
