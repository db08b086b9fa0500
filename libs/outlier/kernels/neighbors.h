// Exact k nearest neighbours, shared by the proximity algorithms.
//
// Rows are reduced to distinct locations (unique_rows.h), scaled by a power of two when their magnitude is out of the
// ordinary, and searched by a k-d tree (few features, any metric) or by dense tiles (many features, Euclidean). Both
// are exact, break ties by the lower row, and give the same bits; which one is used is decided by counting the work of
// a few sample queries.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/context.h"
#include "base/matrix.h"
#include "outlier/kernels/dense_search.h"
#include "outlier/kernels/kd_tree.h"
#include "outlier/kernels/metric.h"
#include "outlier/kernels/unique_rows.h"

namespace vedette::outlier {

class CoalitionSearch;
struct CoalitionRows;

class NeighborIndex {
 public:
  enum class Structure { kAuto, kTree, kDense };

  /// Fewer than 2^31 rows. kDense needs the Euclidean metric.
  absl::Status Build(MatrixView X, Metric metric, const Context& ctx, Structure structure = Structure::kAuto);

  int64_t rows() const { return unique_.rows(); }
  int64_t features() const { return unique_.features(); }
  bool uses_tree() const { return tree_ != nullptr; }
  /// Distances are in units of the data times this (1 for ordinary magnitudes).
  double unit() const { return unit_; }
  /// A distance in the data's own units, at most the largest double.
  double Unscaled(double distance) const;
  /// Cell of a training row in the data's own units.
  double Value(int64_t row, int64_t feature) const { return unique_.at(unique_.location(row))[feature] / unit_; }
  /// All its cells, times unit(); zeros from features() up to stride().
  const double* Row(int64_t row) const { return unique_.at(unique_.location(row)); }
  int64_t stride() const { return unique_.stride(); }
  static constexpr double kMaxDistance = 1e150;  ///< of what is reported: ratios of distances stay finite

  /// Called once for each query, from any thread: distances ascending (times unit(), at most kMaxDistance), with their
  /// training rows. The spans live during the call. Both kinds of visitor are references to functions: pass, do not
  /// keep.
  using Visit =
      absl::FunctionRef<void(int64_t query, std::span<const double> distances, std::span<const int32_t> rows)>;

  /// The min(k, rows() - 1) nearest other rows of every training row. With `ties` > k, the further rows at exactly the
  /// k-th distance follow, lowest first, up to `ties` rows in all; unless all rows at that distance are equal, when it
  /// makes no difference which of them are taken.
  absl::Status OfTrainingRows(int64_t k, const Context& ctx, const Visit& visit, int64_t ties = 0) const;
  /// The min(k, rows()) nearest training rows of every row of X; `ties` as above.
  absl::Status Of(MatrixView X, int64_t k, const Context& ctx, const Visit& visit, int64_t ties = 0) const;

  /// The same, with the next nearest row beyond the reported ones: -1 where there is none, or where rows tied.
  using VisitNext = absl::FunctionRef<void(int64_t query, std::span<const double> distances,
                                           std::span<const int32_t> rows, int32_t next)>;
  absl::Status OfWithNext(MatrixView X, int64_t k, const Context& ctx, const VisitNext& visit, int64_t ties = 0) const;

  /// For the k nearest rows of coalitions; null where Of of the rows themselves is as fast, or all there is.
  std::unique_ptr<CoalitionSearch> ForCoalitions(const CoalitionRows& rows, int64_t k) const;
  /// What Of finds for every coalition against every background row; the query is mask * background rows + row.
  absl::Status Of(const CoalitionSearch& search, std::span<const uint64_t> masks, int64_t k, const Context& ctx,
                  const Visit& visit, int64_t ties = 0) const;

  void Save(ByteWriter& out) const;
  /// Rebuilds the search structure; `metric` is the one of the fit.
  absl::Status Load(ByteReader& in, Metric metric);

 private:
  absl::Status MakeStructure(Structure structure, const Context& ctx);
  bool TreeIsCheaper();
  void Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop) const;
  absl::StatusOr<std::vector<int32_t>> TreeOrder(const UniqueRows& asked, const Context& ctx) const;
  /// tell(query, reporter) for every row of X, when the reporter has found what there is to say; `next`: that, too.
  template <typename Tell>
  absl::Status Query(MatrixView X, int64_t k, const Context& ctx, int64_t ties, bool next, const Tell& tell) const;
  /// Of fewer rows than a piece: equal ones are not worth looking for.
  template <typename Tell>
  absl::Status QueryFew(MatrixView X, int64_t k, const Context& ctx, int64_t ties, bool next, const Tell& tell) const;
  std::vector<TopK> SearchTies(std::span<const double* const> queries, int64_t k, int64_t ties, int64_t self,
                               const StopFn& stop) const;
  void WidenTies(std::span<const double* const> queries, std::span<TopK> tops, int64_t most, const StopFn& stop) const;

  Metric metric_;
  double unit_ = 1;
  UniqueRows unique_;
  std::unique_ptr<KdTree> tree_;
  double tree_seconds_ = 0;  // of a query, by a sample of them; 0 where there was no choice
  std::unique_ptr<DenseSearch> dense_;
};

}  // namespace vedette::outlier
