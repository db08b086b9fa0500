#include "outlier/kernels/neighbors.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <limits>
#include <mutex>

#include "base/thread_pool.h"
#include "outlier/columns.h"
#include "outlier/kernels/coalition_search.h"
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
absl::Status Pieces(const Context& ctx, int64_t n, const Body& body, int64_t grain = kPiece) {
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
  ParallelFor(ctx.pool, n, grain, [&](int64_t begin, int64_t end) {
    if (!stop()) body(begin, end, stop);
  });
  return status;
}

// What a visitor is given.
class Reporter {
 public:
  Reporter(const UniqueRows& unique, int64_t k, int64_t ties, Metric metric)
      : unique_(unique), k_(k), metric_(metric), distance_(std::max(k, ties)), row_(distance_.size()) {}
  /// The best k of `top` without `self` (-1: all), and those that tie with the last of them unless all that tie are
  /// equal.
  void Report(const TopK& top, int64_t query, int32_t self, const NeighborIndex::Visit& visit) {
    int64_t size = 0, first_tied = 0;
    double last = -1;
    for (int64_t i = 0; i < top.size() && size < static_cast<int64_t>(distance_.size()); ++i) {
      if (top.rows()[i] == self) continue;
      if (size >= k_ && top.ranks()[i] != last) break;
      if (top.ranks()[i] != last) first_tied = size;
      last = top.ranks()[i];
      distance_[size] = std::min(metric_.DistanceOf(last), NeighborIndex::kMaxDistance);
      row_[size++] = top.rows()[i];
    }
    if (size > k_ && std::all_of(row_.begin() + first_tied, row_.begin() + size, [&](int32_t row) {
          return unique_.location(row) == unique_.location(row_[first_tied]);
        })) {
      size = k_;
    }
    visit(query, {distance_.data(), static_cast<size_t>(size)}, {row_.data(), static_cast<size_t>(size)});
  }

 private:
  const UniqueRows& unique_;
  int64_t k_;
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
  tree_seconds_ = 0;
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
bool NeighborIndex::TreeIsCheaper() {
  const auto m = static_cast<double>(unique_.locations()), d = static_cast<double>(features());
  const int64_t count = std::min(kSampleQueries, unique_.locations());
  std::vector<const double*> queries;
  for (int64_t i = 0; i < count; ++i) queries.push_back(unique_.at(i * unique_.locations() / count));
  std::vector<TopK> tops(count, TopK(8));
  KdTree::Work work;
  tree_->Search(
      queries, tops, [] { return false; }, &work);
  const double boxes = static_cast<double>(work.boxes) / static_cast<double>(count);
  const double distances = static_cast<double>(work.distances) / static_cast<double>(count);
  const double tree = 400 + boxes * (26 + 2.6 * d) + distances * (1.6 + 0.33 * d);
  const double dense = 1800 + 40 * d + m * (0.16 + 0.013 * d);
  tree_seconds_ = 1e-9 * tree;
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

// The best k + self of each query; where more rows may tie with the k-th, the best ties + self. One more than k is
// looked for, so that only queries with a tie are searched again.
std::vector<TopK> NeighborIndex::SearchTies(std::span<const double* const> queries, int64_t k, int64_t ties,
                                            int64_t self, const StopFn& stop) const {
  const bool with_ties = ties > k && k > 0;
  std::vector<TopK> tops(queries.size(), TopK(k + self + (with_ties ? 1 : 0)));
  Search(queries, tops, stop);
  if (with_ties && !stop()) WidenTies(queries, tops, ties + self, stop);
  return tops;
}

/// Searches the queries again whose last two are equally far; up to `most` rows are kept.
void NeighborIndex::WidenTies(std::span<const double* const> queries, std::span<TopK> tops, int64_t most,
                              const StopFn& stop) const {
  std::vector<size_t> tied;
  std::vector<const double*> again;
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::span<const double> ranks = tops[i].ranks();
    if (tops[i].full() && ranks.size() > 1 && ranks.back() == ranks[ranks.size() - 2]) {
      tied.push_back(i);
      again.push_back(queries[i]);
    }
  }
  if (tied.empty()) return;
  // The locations at that distance first: rows at one location tie for nothing, and real tables have thousands of such.
  std::vector<TopK> more(tied.size(), TopK(most, 1));
  for (size_t i = 0; i < tied.size(); ++i) more[i].Only(tops[tied[i]].ranks().back());
  Search(again, more, stop);
  if (stop()) return;
  for (size_t i = 0; i < tied.size(); ++i) {
    if (more[i].size() < 2) continue;
    TopK& top = tops[tied[i]];
    TopK all(most);
    const double last = top.ranks().back();
    for (int64_t j = 0; top.ranks()[j] < last; ++j) all.Offer(top.ranks()[j], top.rows()[j]);
    for (const int32_t row : more[i].rows()) all.Offer(last, unique_.members(unique_.location(row)));
    top = std::move(all);
  }
}

absl::Status NeighborIndex::OfTrainingRows(int64_t k, const Context& ctx, const Visit& visit, int64_t ties) const {
  k = std::min(k, rows() - 1);
  ties = std::min(ties, rows() - 1);
  return Pieces(ctx, unique_.locations(), [&](int64_t begin, int64_t end, const StopFn& stop) {
    std::vector<int32_t> locations;
    std::vector<const double*> queries;
    for (int64_t i = begin; i < end; ++i) {
      locations.push_back(tree_ != nullptr ? tree_->order()[i] : static_cast<int32_t>(i));
      queries.push_back(unique_.at(locations.back()));
    }
    const std::vector<TopK> tops = SearchTies(queries, k, ties, 1, stop);  // the row itself is found, too
    if (stop()) return;
    Reporter reporter(unique_, k, ties, metric_);
    for (size_t i = 0; i < queries.size(); ++i) {
      for (const int32_t row : unique_.members(locations[i])) reporter.Report(tops[i], row, row, visit);
    }
  });
}

void NeighborIndex::Pack(MatrixView X, int64_t row, double* out) const {
  for (int64_t j = 0; j < X.cols; ++j) out[j] = X(row, j) * unit_ + 0.0;
}

// Rows that lie in the same leaf one after the other: what a search reads is still in cache, and what it found bounds
// the next. Empty: as they come.
absl::StatusOr<std::vector<int64_t>> NeighborIndex::TreeOrder(MatrixView X, const Context& ctx) const {
  if (tree_ == nullptr || X.rows < kPiece) return std::vector<int64_t>();
  std::vector<std::pair<int32_t, int64_t>> places(X.rows);
  RETURN_IF_ERROR(Pieces(ctx, X.rows, [&](int64_t begin, int64_t end, const StopFn&) {
    const AlignedArray<double> query(unique_.stride());
    std::fill_n(query.get(), query.size(), 0.0);
    for (int64_t i = begin; i < end; ++i) {
      Pack(X, i, query.get());
      places[i] = {tree_->LeafNear(query.get()), i};
    }
  }));
  std::sort(places.begin(), places.end());
  std::vector<int64_t> order(X.rows);
  for (int64_t i = 0; i < X.rows; ++i) order[i] = places[i].second;
  return order;
}

absl::Status NeighborIndex::Of(MatrixView X, int64_t k, const Context& ctx, const Visit& visit, int64_t ties) const {
  k = std::min(k, rows());
  ties = std::min(ties, rows());
  const int64_t stride = unique_.stride();
  ASSIGN_OR_RETURN(const std::vector<int64_t> order, TreeOrder(X, ctx));
  const auto row_at = [&](int64_t i) { return order.empty() ? i : order[i]; };
  return Pieces(ctx, X.rows, [&](int64_t begin, int64_t end, const StopFn& stop) {
    const int64_t count = end - begin;
    const AlignedArray<double> values(count * stride);
    std::fill_n(values.get(), values.size(), 0.0);
    std::vector<const double*> queries;
    for (int64_t i = 0; i < count; ++i) {
      Pack(X, row_at(begin + i), values.get() + i * stride);
      queries.push_back(values.get() + i * stride);
    }
    const std::vector<TopK> tops = SearchTies(queries, k, ties, 0, stop);
    if (stop()) return;
    Reporter reporter(unique_, k, ties, metric_);
    for (int64_t i = 0; i < count; ++i) reporter.Report(tops[i], row_at(begin + i), -1, visit);
  });
}

std::unique_ptr<CoalitionSearch> NeighborIndex::ForCoalitions(const CoalitionRows& rows, int64_t k) const {
  if (metric_.kind != MetricKind::kEuclidean || std::min(k, this->rows()) >= CoalitionSearch::kMaxNeighbors ||
      this->rows() < 1 || !CoalitionSearch::Fits(unique_, rows)) {
    return nullptr;
  }
  const auto m = static_cast<double>(unique_.locations());
  const double seconds = 1e-7 + 1e-10 * m * (1 + 0.1 * static_cast<double>(rows.players.size()));
  if (tree_ != nullptr && tree_seconds_ > 0 && tree_seconds_ < seconds) return nullptr;
  return std::make_unique<CoalitionSearch>(unique_, unit_, rows);
}

absl::Status NeighborIndex::Of(const CoalitionSearch& search, std::span<const uint64_t> masks, int64_t k,
                               const Context& ctx, const Visit& visit, int64_t ties) const {
  k = std::min(k, rows());
  ties = std::min(ties, rows());
  const bool with_ties = ties > k && k > 0;
  constexpr int64_t kMasks = CoalitionSearch::kMasks;
  const int64_t chunks = (std::ssize(masks) + kMasks - 1) / kMasks, n = search.background(), stride = unique_.stride();
  const auto piece = [&](int64_t at, std::vector<TopK>& all, CoalitionSearch::Scratch& scratch, const StopFn& stop) {
    const int64_t b = at % n, first = at / n * kMasks;
    const auto own =
        masks.subspan(static_cast<size_t>(first), static_cast<size_t>(std::min(kMasks, std::ssize(masks) - first)));
    while (all.size() < own.size()) all.emplace_back(k + (with_ties ? 1 : 0));
    const std::span<TopK> tops = std::span(all).first(own.size());
    for (TopK& top : tops) top.Clear();
    search.Search(b, own, tops, scratch, stop);
    if (with_ties && !stop()) {
      const AlignedArray<double> values(std::ssize(own) * stride);
      std::vector<const double*> queries;
      for (const uint64_t mask : own) {
        queries.push_back(values.get() + std::ssize(queries) * stride);
        search.Compose(b, mask, values.get() + (std::ssize(queries) - 1) * stride);
      }
      WidenTies(queries, tops, ties, stop);
    }
    if (stop()) return;
    Reporter reporter(unique_, k, ties, metric_);
    for (size_t i = 0; i < own.size(); ++i) {
      reporter.Report(tops[i], (first + static_cast<int64_t>(i)) * n + b, -1, visit);
    }
  };
  const auto pieces = [&](int64_t begin, int64_t end, const StopFn& stop) {
    CoalitionSearch::Scratch scratch(search);
    std::vector<TopK> tops;
    for (int64_t at = begin; at < end; ++at) {
      piece(at, tops, scratch, stop);
      if (with_ties) tops.clear();  // some may have been widened
    }
  };
  return Pieces(ctx, chunks * n, pieces, 8);
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
