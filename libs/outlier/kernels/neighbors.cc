#include "outlier/kernels/neighbors.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "base/thread_pool.h"
#include "outlier/columns.h"
#include "outlier/kernels/coalition_search.h"
#include "outlier/parallel.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr uint32_t kVersion = 1;
constexpr int64_t kPiece = DenseSearch::kTileQueries;
constexpr int64_t kSampleQueries = 24;

// Powers of coordinates must not overflow: Minkowski scales to magnitude 1 always, the others when out of the ordinary.
absl::StatusOr<double> UnitOf(MatrixView X, Metric metric, const Context& ctx) {
  double most = 0;
  for (int64_t j = 0; j < X.cols; ++j) {
    RETURN_IF_ERROR(Blocks(ctx, X.rows, RowsPerLook(1), [&](int64_t begin, int64_t end) {
      const Range range = RangeOf(X.Rows(begin, end - begin).col(j));
      most = std::max({most, std::abs(range.low), std::abs(range.high)});
    }));
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
  const auto stop = [&] {
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
      : unique_(unique),
        k_(k),
        metric_(metric),
        distance_(static_cast<size_t>(std::max(k, ties))),
        row_(distance_.size()) {}
  /// The best k of `top` without `self` (-1: all), and those that tie with the last of them unless all that tie are
  /// equal.
  void Report(const TopK& top, int64_t query, int32_t self, const NeighborIndex::Visit& visit) {
    Find(top, self);
    Tell(query, visit);
  }
  /// The same in two steps, the second for every query that is equal.
  void Find(const TopK& top, int32_t self) {
    int64_t size = 0, first_tied = 0;
    double last = -1, distance = 0;
    for (int64_t i = 0; i < top.size() && size < static_cast<int64_t>(distance_.size()); ++i) {
      if (top.rows()[i] == self) continue;
      if (top.ranks()[i] != last) {
        if (size >= k_) break;
        first_tied = size;
        last = top.ranks()[i];
        distance = std::min(metric_.DistanceOf(last), NeighborIndex::kMaxDistance);
      }
      distance_[size] = distance;
      row_[size++] = top.rows()[i];
    }
    if (size > k_ && std::all_of(row_.begin() + first_tied, row_.begin() + size, [&](int32_t row) {
          return unique_.location(row) == unique_.location(row_[first_tied]);
        })) {
      size = k_;
    }
    size_ = static_cast<size_t>(size);
    next_ = size == k_ && top.size() > size ? top.rows()[size] : -1;
  }
  void Tell(int64_t query, const NeighborIndex::Visit& visit) const {
    visit(query, {distance_.data(), size_}, {row_.data(), size_});
  }
  /// Of a search for one more than k, or for ties, among all rows.
  void Tell(int64_t query, const NeighborIndex::VisitNext& visit) const {
    visit(query, {distance_.data(), size_}, {row_.data(), size_}, next_);
  }

 private:
  const UniqueRows& unique_;
  int64_t k_;
  Metric metric_;
  absl::InlinedVector<double, TopK::kInline> distance_;
  absl::InlinedVector<int32_t, TopK::kInline> row_;
  size_t size_ = 0;
  int32_t next_ = -1;
};

}  // namespace

absl::Status NeighborIndex::Build(MatrixView X, Metric metric, const Context& ctx, Structure structure) {
  if (X.rows >= std::numeric_limits<int32_t>::max()) {
    return InvalidArgument("{} rows are too many for neighbour search, the limit is 2^31 - 2", X.rows);
  }
  metric_ = metric;
  ASSIGN_OR_RETURN(unit_, UnitOf(X, metric, ctx));
  ASSIGN_OR_RETURN(unique_, UniqueRows::Of(X, unit_, ctx));
  return MakeStructure(structure, ctx);
}

absl::Status NeighborIndex::MakeStructure(Structure structure, const Context& ctx) {
  absl::Status status;
  const auto stop = [&] {
    if (status.ok()) status = ctx.Check();
    return !status.ok();
  };
  tree_.reset();
  dense_.reset();
  tree_seconds_ = 0;
  const bool euclidean = metric_.kind == MetricKind::kEuclidean;
  // Beyond 64 features no box is ever far enough away to be worth looking at.
  if (structure == Structure::kTree || !euclidean || (structure == Structure::kAuto && features() <= 64)) {
    tree_ = std::make_unique<KdTree>(unique_, metric_, stop);
    if (stop() || !euclidean || structure == Structure::kTree || TreeIsCheaper()) return status;
    tree_.reset();
  }
  dense_ = std::make_unique<DenseSearch>(unique_, stop);
  return status;
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

// Locations that lie in the same leaf one after the other: what a search reads is still in cache, and what it found
// bounds the next. Without a tree: as they come.
absl::StatusOr<std::vector<int32_t>> NeighborIndex::TreeOrder(const UniqueRows& asked, const Context& ctx) const {
  const int64_t count = asked.locations();
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (tree_ == nullptr) return order;
  std::vector<int32_t> leaf(count);
  RETURN_IF_ERROR(Pieces(ctx, count, [&](int64_t begin, int64_t end, const StopFn&) {
    for (int64_t i = begin; i < end; ++i) leaf[i] = tree_->LeafNear(asked.at(i));
  }));
  std::vector<int32_t> next(tree_->leaves() + 1, 0);  // counting, as there are few leaves
  for (const int32_t l : leaf) ++next[l + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  for (int32_t i = 0; i < count; ++i) order[next[leaf[i]]++] = i;
  return order;
}

absl::Status NeighborIndex::Of(MatrixView X, int64_t k, const Context& ctx, const Visit& visit, int64_t ties) const {
  return Query(X, k, ctx, ties, false, [&](int64_t query, const auto& reporter) { reporter.Tell(query, visit); });
}

absl::Status NeighborIndex::OfWithNext(MatrixView X, int64_t k, const Context& ctx, const VisitNext& visit,
                                       int64_t ties) const {
  return Query(X, k, ctx, ties, true, [&](int64_t query, const auto& reporter) { reporter.Tell(query, visit); });
}

template <typename Tell>
absl::Status NeighborIndex::Query(MatrixView X, int64_t k, const Context& ctx, int64_t ties, bool next,
                                  const Tell& tell) const {
  k = std::min(k, rows());
  ties = std::min(ties, rows());
  if (X.rows < kPiece) return QueryFew(X, k, ctx, ties, next, tell);
  const int64_t more = next && ties <= k ? 1 : 0;
  // What is held of the rows beside X is bounded, and the time between two looks at the context.
  const int64_t together = std::max<int64_t>(16384, RowsPerLook(features()));
  for (int64_t at = 0; at < X.rows; at += together) {
    ASSIGN_OR_RETURN(const UniqueRows asked, UniqueRows::Of(X.Rows(at, std::min(together, X.rows - at)), unit_, ctx));
    ASSIGN_OR_RETURN(const std::vector<int32_t> order, TreeOrder(asked, ctx));
    RETURN_IF_ERROR(Pieces(ctx, asked.locations(), [&](int64_t begin, int64_t end, const StopFn& stop) {
      std::vector<const double*> queries;
      for (int64_t i = begin; i < end; ++i) queries.push_back(asked.at(order[i]));
      const std::vector<TopK> tops = SearchTies(queries, k + more, ties, 0, stop);
      if (stop()) return;
      Reporter reporter(unique_, k, ties, metric_);
      for (int64_t i = begin; i < end; ++i) {
        reporter.Find(tops[i - begin], -1);
        for (const int32_t row : asked.members(order[i])) tell(at + row, reporter);
      }
    }));
  }
  return absl::OkStatus();
}

template <typename Tell>
absl::Status NeighborIndex::QueryFew(MatrixView X, int64_t k, const Context& ctx, int64_t ties, bool next,
                                     const Tell& tell) const {
  const int64_t more = next && ties <= k ? 1 : 0;
  return Pieces(ctx, X.rows, [&](int64_t, int64_t count, const StopFn& stop) {
    constexpr int64_t kOnStack = 256;
    alignas(64) double few[kOnStack];
    const int64_t stride = unique_.stride();
    const bool on_stack = count * stride <= kOnStack;
    const AlignedArray<double> many = on_stack ? AlignedArray<double>() : AlignedArray<double>(count * stride);
    double* const values = on_stack ? few : many.get();
    absl::InlinedVector<const double*, 8> queries;
    for (int64_t i = 0; i < count; ++i) {
      double* const out = values + i * stride;
      for (int64_t j = 0; j < X.cols; ++j) out[j] = X(i, j) * unit_ + 0.0;
      std::fill(out + X.cols, out + stride, 0.0);
      queries.push_back(out);
    }
    const std::vector<TopK> tops = SearchTies(queries, k + more, ties, 0, stop);
    if (stop()) return;
    Reporter reporter(unique_, k, ties, metric_);
    for (int64_t i = 0; i < count; ++i) {
      reporter.Find(tops[i], -1);
      tell(i, reporter);
    }
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
  return MakeStructure(Structure::kAuto, {});
}

}  // namespace vedette::outlier
