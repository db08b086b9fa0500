// Exact nearest neighbours for few features: a k-d tree (Bentley 1975; Friedman, Bentley, Finkel 1977) with tight
// bounding boxes, and leaves stored feature by feature so that four distances are computed at a time.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "outlier/kernels/metric.h"
#include "outlier/kernels/top_k.h"
#include "outlier/kernels/unique_rows.h"

namespace vedette::outlier {

/// True when the search is to be given up (cancelled, deadline passed). A reference to a function: to pass, not to keep.
using StopFn = absl::FunctionRef<bool()>;

class KdTree {
 public:
  static constexpr int64_t kLeafRows = 24;

  KdTree() = default;
  /// Keeps a reference to `rows`, at least one. Not to be searched if `stop` was true on the way.
  KdTree(const UniqueRows& rows, Metric metric, const StopFn& stop);

  /// Locations in tree order: neighbouring queries share what is in cache.
  std::span<const int32_t> order() const { return order_; }
  int64_t leaves() const { return static_cast<int64_t>(leaves_.size()); }
  /// The leaf whose box holds the query or is near it, in tree order: puts new queries in such an order, too.
  int32_t LeafNear(const double* query) const;

  /// What a search looked at: the measure that the choice of structure rests on.
  struct Work {
    int64_t boxes = 0;  ///< inner nodes: eight boxes each
    int64_t distances = 0;
  };
  /// Offers to tops[i] every location that may be among the best of queries[i] (rows of rows.stride() doubles,
  /// aligned).
  void Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop,
              Work* work = nullptr) const;

 private:
  static constexpr int kFan = 8;
  static constexpr int32_t kSpreadSample = 256;  // rows that decide where a range is cut

  /// A range of order_ while the tree is built.
  struct Range {
    int32_t begin = 0, end = 0;
    int32_t size() const { return end - begin; }
  };
  /// Eight children at a time: their boxes lie side by side, so that all eight distances are computed together.
  struct Inner {
    int32_t child[kFan];  ///< >= 0: inner node; < 0: leaf -1 - child
    int32_t count = 0;
  };
  struct Leaf {
    Range range;
    int64_t block = 0;  ///< first double of its values
  };

  int32_t Build(Range range, const StopFn& stop);
  int64_t WidestFeature(Range range) const;
  bool Split(Range range, Range* left, Range* right);
  void Box(Range range, double* low, double* high) const;
  int32_t AddLeaf(Range range);
  void FillLeaves(const StopFn& stop);
  template <MetricKind kKind>
  void SearchAll(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop, Work& work) const;
  template <typename Rank>
  std::pair<F64x4, F64x4> BoxRanks(const Rank& rank, int32_t node, const double* query) const;
  template <MetricKind kKind>
  void SearchOne(const double* query, TopK& top, Work& work) const;
  template <MetricKind kKind>
  void Scan(const Leaf& leaf, const double* query, TopK& top) const;
  template <MetricKind kKind, int kFeatures>
  void ScanLeaf(const Leaf& leaf, const double* query, TopK& top) const;

  const UniqueRows* rows_ = nullptr;
  Metric metric_;
  double slack_ = 1;  // just below 1: a box's rank is summed in another order than a row's
  std::vector<int32_t> order_;
  std::vector<std::pair<double, int32_t>> column_;  // of a range, while the tree is built
  std::vector<int32_t> row_;  // in tree order: the only row of the location, or -1 - location where there are more
  std::vector<Inner> inner_;
  std::vector<Leaf> leaves_;
  int32_t root_ = 0;
  std::vector<double> boxes_;   // per inner node: low[8], high[8] of each feature
  int64_t value_count_ = 0;
  AlignedArray<double> values_;  // per leaf: [feature][rows rounded up to 4]
};

}  // namespace vedette::outlier
