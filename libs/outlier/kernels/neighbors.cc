#include "outlier/kernels/neighbors.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <limits>
#include <mutex>

#include "base/thread_pool.h"
#include "outlier/columns.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kVersion = 1;
constexpr int64_t kPiece = DenseSearch::kTileQueries;
constexpr int64_t kSampleQueries = 24;

// Powers of coordinates must not overflow: Minkowski scales to magnitude 1 always, the others when out of the ordinary.
double UnitOf(MatrixView X, Metric metric) {
  double most = 0;
  for (int64_t j = 0; j < X.cols; ++j) {
    for (const double v : X.col(j)) most = std::max(most, std::abs(v));
  }
  if (metric.kind != MetricKind::kMinkowski) return UnitFor(most);
  return most > 0 ? std::ldexp(1.0, std::clamp(-std::ilogb(most), -1000, 1000)) : 1;
}

// Runs pieces in parallel; a piece may stop half-way through `stop`. Returns why, if it was stopped.
template <typename Body>
absl::Status Pieces(const Context& ctx, int64_t n, const Body& body) {
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  absl::Status status;
  const StopFn stop = [&] {
    if (stopped.load(std::memory_order_relaxed)) return true;
    absl::Status check = ctx.Check();
    if (check.ok()) return false;
    const std::lock_guard lock(mutex);
    if (status.ok()) status = std::move(check);
    stopped.store(true, std::memory_order_relaxed);
    return true;
  };
  ParallelFor(ctx.pool, n, kPiece, [&](int64_t begin, int64_t end) {
    if (!stop()) body(begin, end, stop);
  });
  return status;
}

// What a visitor is given.
class Reporter {
 public:
  Reporter(int64_t k, Metric metric) : metric_(metric), distance_(k), row_(k) {}
  /// The best of `top` without `self` (-1: all), at most `distance_.size()` of them.
  void Report(const TopK& top, int64_t query, int32_t self, const NeighborIndex::Visit& visit) {
    size_t size = 0;
    for (int64_t i = 0; i < top.size() && size < distance_.size(); ++i) {
      if (top.rows()[i] == self) continue;
      distance_[size] = std::min(metric_.DistanceOf(top.ranks()[i]), NeighborIndex::kMaxDistance);
      row_[size++] = top.rows()[i];
    }
    visit(query, {distance_.data(), size}, {row_.data(), size});
  }

 private:
  Metric metric_;
  std::vector<double> distance_;
  std::vector<int32_t> row_;
};

}  // namespace

absl::Status NeighborIndex::Build(MatrixView X, Metric metric, const Context& ctx, Structure structure) {
  if (X.rows >= std::numeric_limits<int32_t>::max()) {
    return InvalidArgument("{} rows are too many for neighbour search, the limit is 2^31 - 2", X.rows);
  }
  metric_ = metric;
  unit_ = UnitOf(X, metric);
  RETURN_IF_ERROR(ctx.Check());
  unique_ = UniqueRows::Of(X, unit_);
  RETURN_IF_ERROR(ctx.Check());
  MakeStructure(structure);
  return ctx.Check();
}

void NeighborIndex::MakeStructure(Structure structure) {
  tree_.reset();
  dense_.reset();
  const bool euclidean = metric_.kind == MetricKind::kEuclidean;
  // Beyond 64 features no box is ever far enough away to be worth looking at.
  if (structure == Structure::kTree || !euclidean || (structure == Structure::kAuto && features() <= 64)) {
    tree_ = std::make_unique<KdTree>(unique_, metric_);
    if (!euclidean || structure == Structure::kTree || TreeIsCheaper()) return;
    tree_.reset();
  }
  dense_ = std::make_unique<DenseSearch>(unique_);
}

// Costs in nanoseconds, fitted to measurements (see README.md); only the choice depends on them, never a result.
bool NeighborIndex::TreeIsCheaper() const {
  const auto m = static_cast<double>(unique_.locations()), d = static_cast<double>(features());
  const int64_t count = std::min(kSampleQueries, unique_.locations());
  std::vector<const double*> queries;
  for (int64_t i = 0; i < count; ++i) queries.push_back(unique_.at(i * unique_.locations() / count));
  std::vector<TopK> tops(count, TopK(8));
  KdTree::Work work;
  tree_->Search(queries, tops, [] { return false; }, &work);
  const double boxes = static_cast<double>(work.boxes) / static_cast<double>(count);
  const double distances = static_cast<double>(work.distances) / static_cast<double>(count);
  const double tree = 150 + boxes * (4 + 0.5 * d) + distances * (0.6 + 0.25 * d);
  const double dense = 600 + m * (0.12 + 0.013 * d);
  return tree < dense;
}

double NeighborIndex::Unscaled(double distance) const { return std::min(distance / unit_, DBL_MAX); }

void NeighborIndex::Search(std::span<const double* const> queries, std::span<TopK> tops, const StopFn& stop) const {
  if (tree_ != nullptr) {
    tree_->Search(queries, tops, stop);
  } else {
    dense_->Search(queries, tops, stop);
  }
}

absl::Status NeighborIndex::OfTrainingRows(int64_t k, const Context& ctx, const Visit& visit) const {
  k = std::min(k, rows() - 1);
  return Pieces(ctx, unique_.locations(), [&](int64_t begin, int64_t end, const StopFn& stop) {
    std::vector<int32_t> locations;
    std::vector<const double*> queries;
    for (int64_t i = begin; i < end; ++i) {
      locations.push_back(tree_ != nullptr ? tree_->order()[i] : static_cast<int32_t>(i));
      queries.push_back(unique_.at(locations.back()));
    }
    std::vector<TopK> tops(queries.size(), TopK(k + 1));  // the row itself is found, too
    Search(queries, tops, stop);
    if (stop()) return;
    Reporter reporter(k, metric_);
    for (size_t i = 0; i < queries.size(); ++i) {
      for (const int32_t row : unique_.members(locations[i])) reporter.Report(tops[i], row, row, visit);
    }
  });
}

absl::Status NeighborIndex::Of(MatrixView X, int64_t k, const Context& ctx, const Visit& visit) const {
  k = std::min(k, rows());
  const int64_t stride = unique_.stride();
  return Pieces(ctx, X.rows, [&](int64_t begin, int64_t end, const StopFn& stop) {
    const int64_t count = end - begin;
    const AlignedArray<double> values(count * stride);
    std::fill_n(values.get(), values.size(), 0.0);
    for (int64_t j = 0; j < X.cols; ++j) {
      for (int64_t i = 0; i < count; ++i) values[i * stride + j] = X(begin + i, j) * unit_ + 0.0;
    }
    std::vector<const double*> queries;
    for (int64_t i = 0; i < count; ++i) queries.push_back(values.get() + i * stride);
    std::vector<TopK> tops(count, TopK(k));
    Search(queries, tops, stop);
    if (stop()) return;
    Reporter reporter(k, metric_);
    for (int64_t i = 0; i < count; ++i) reporter.Report(tops[i], begin + i, -1, visit);
  });
}

void NeighborIndex::Save(ByteWriter& out) const {
  out.U32(kVersion);
  out.F64(unit_);
  unique_.Save(out);
}

absl::Status NeighborIndex::Load(ByteReader& in, Metric metric) {
  ReadVersion(in, kVersion);
  unit_ = ReadFinite(in, "the unit");
  if (in.ok() && !(unit_ > 0)) in.Fail("the unit is not positive");
  unique_ = UniqueRows::Load(in);
  RETURN_IF_ERROR(in.status());
  metric_ = metric;
  MakeStructure(Structure::kAuto);
  return absl::OkStatus();
}

}  // namespace vedette::outlier
