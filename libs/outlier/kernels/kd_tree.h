// Exact nearest neighbours for few features: a k-d tree (Bentley 1975; Friedman, Bentley, Finkel 1977) with tight bounding
// boxes, and leaves stored feature by feature so that four distances are computed at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "outlier/kernels/aligned.h"
#include "outlier/kernels/metric.h"
#include "outlier/kernels/top_k.h"
#include "outlier/kernels/unique_rows.h"

namespace vedette::outlier {

/// True when the search is to be given up (cancelled, deadline passed).
using StopFn = std::function<bool()>;

class KdTree {
 public:
  static constexpr int64_t kLeafRows = 16;

  KdTree() = default;
  /// Keeps a reference to `rows`.
  KdTree(const UniqueRows& rows, Metric metric);

  /// Locations in tree order: neighbouring queries share what is in cache.
  std::span<const int32_t> order() const { return order_; }

  /// What a search looked at: the measure that the choice of structure rests on.
  struct Work {
    int64_t boxes = 0;
    int64_t distances = 0;
  };
  /// Offers to tops[i] every location that may be among the best of queries[i] (rows of rows.stride() doubles, aligned).
  void Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop, Work* work = nullptr) const;

 private:
  struct Node {
    int32_t begin = 0, end = 0;  // of order_
    int32_t children = 0;        // two neighbouring nodes; 0 at leaves
    int64_t block = 0;           // first double of a leaf's values
  };
  void Box(Node node, double* box) const;
  bool Split(int32_t node);
  void FillLeaf(Node& node);
  template <MetricKind kKind>
  void SearchOne(const double* query, TopK& top, Work& work) const;
  template <MetricKind kKind>
  void ScanLeaf(const Node& node, const double* query, TopK& top) const;

  const UniqueRows* rows_ = nullptr;
  Metric metric_;
  double slack_ = 1;  // just below 1: a box's rank may be summed in another order than a row's
  std::vector<int32_t> order_;
  std::vector<Node> nodes_;
  std::vector<double> boxes_;    // per node: low[4], high[4] for each four features
  AlignedArray<double> values_;  // per leaf: [feature][rows rounded up to 4]
};

}  // namespace vedette::outlier
