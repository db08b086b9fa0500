#include "outlier/kernels/neighbors.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/thread_pool.h"
#include "unit/outlier_kernels/samples.h"

namespace vedette::outlier {
namespace {

using Structure = NeighborIndex::Structure;

struct Found {
  std::vector<std::vector<double>> distances;
  std::vector<std::vector<int32_t>> rows;
  bool operator==(const Found&) const = default;
};

Found OfTraining(const NeighborIndex& index, int64_t k, const Context& ctx = {}, int64_t ties = 0) {
  Found out{std::vector<std::vector<double>>(index.rows()), std::vector<std::vector<int32_t>>(index.rows())};
  const absl::Status status = index.OfTrainingRows(
      k, ctx,
      [&](int64_t i, std::span<const double> distances, std::span<const int32_t> rows) {
        for (const double distance : distances) out.distances[i].push_back(index.Unscaled(distance));
        out.rows[i].assign(rows.begin(), rows.end());
      },
      ties);
  REQUIRE(status.ok());
  return out;
}

Found OfTraining(MatrixView X, Metric metric, int64_t k, Structure structure, const Context& ctx = {}) {
  NeighborIndex index;
  REQUIRE(index.Build(X, metric, ctx, structure).ok());
  return OfTraining(index, k, ctx);
}

double Distance(MatrixView X, int64_t a, int64_t b, Metric metric) {
  double sum = 0;
  for (int64_t j = 0; j < X.cols; ++j) {
    const double gap = std::abs(X(a, j) - X(b, j));
    if (metric.kind == MetricKind::kChebyshev) sum = std::max(sum, gap);
    if (metric.kind == MetricKind::kManhattan) sum += gap;
    if (metric.kind == MetricKind::kEuclidean) sum += gap * gap;
    if (metric.kind == MetricKind::kMinkowski) sum += std::pow(gap, metric.p);
  }
  return metric.DistanceOf(sum);
}

// Everything against everything, in the obvious way. Mistakes are counted: an assertion for each distance takes longer
// than the search.
void CheckAgainstBruteForce(MatrixView X, Metric metric, int64_t k, const Found& found) {
  const auto same = [](double a, double b) { return a == Approx(b).epsilon(1e-12).margin(1e-300); };
  int64_t wrong = 0;
  for (int64_t i = 0; i < X.rows; i += std::max<int64_t>(1, X.rows / 60)) {
    std::vector<double> all;
    for (int64_t j = 0; j < X.rows; ++j) {
      if (j != i) all.push_back(Distance(X, i, j, metric));
    }
    std::sort(all.begin(), all.end());
    REQUIRE(static_cast<int64_t>(found.distances[i].size()) == std::min(k, X.rows - 1));
    for (size_t r = 0; r < found.distances[i].size(); ++r) {
      const double distance = found.distances[i][r];
      const int32_t row = found.rows[i][r];
      if (same(distance, all[r]) && row != i && same(Distance(X, i, row, metric), distance)) continue;
      UNSCOPED_INFO("row " << i << ", neighbour " << r << ": row " << row << " at " << distance << ", wanted "
                           << all[r]);
      ++wrong;
    }
  }
  REQUIRE(wrong == 0);
}

}  // namespace

TEST_CASE("Neighbours are exact for every structure, metric and shape") {
  const std::vector<Metric> metrics = {{MetricKind::kEuclidean, 2},
                                       {MetricKind::kManhattan, 1},
                                       {MetricKind::kChebyshev, 0},
                                       {MetricKind::kMinkowski, 3}};
  for (const int64_t d : {1, 2, 5, 8, 13, 40}) {
    for (const int64_t n : {2, 3, 17, 430}) {
      const Matrix X = NormalMatrix(n, d, 7 * n + d);
      for (const Metric& metric : metrics) {
        const Found tree = OfTraining(X, metric, 6, Structure::kTree);
        CheckAgainstBruteForce(X, metric, 6, tree);
        if (metric.kind == MetricKind::kEuclidean) REQUIRE(OfTraining(X, metric, 6, Structure::kDense) == tree);
      }
    }
  }
}

TEST_CASE("Tree and dense search agree bit for bit where float32 alone would not do") {
  Matrix far = NormalMatrix(900, 12, 3, 1e-6, 1e9);  // a large offset, small differences
  Matrix mixed = NormalMatrix(900, 12, 4);
  for (int64_t j = 0; j < 12; ++j) mixed(5, j) = 1e25 * static_cast<double>(j + 1);  // beyond float32 when squared
  mixed(6, 0) = -1e40;
  Matrix close = NormalMatrix(900, 12, 5);
  for (int64_t i = 450; i < 900; ++i) {  // near-duplicates
    for (int64_t j = 0; j < 12; ++j) close(i, j) = close(i - 450, j) * (1 + 1e-13);
  }
  const Matrix grid = GridMatrix(900, 12, 2, 6);
  for (const Matrix* X : std::initializer_list<const Matrix*>{&far, &mixed, &close, &grid}) {
    for (const int64_t k : {1, 5, 30}) {
      const Found tree = OfTraining(*X, {}, k, Structure::kTree);
      REQUIRE(OfTraining(*X, {}, k, Structure::kDense) == tree);
      CheckAgainstBruteForce(*X, {}, k, tree);
    }
  }
}

TEST_CASE("Every dense kernel of this machine finds the same neighbours") {
  for (const int64_t d : {1, 3, 20, 65}) {
    const Matrix X = NormalMatrix(777, d, d);
    const UniqueRows rows = *UniqueRows::Of(X, 1, {});
    const DenseSearch search(rows, [] { return false; });
    std::vector<const double*> queries;
    for (int64_t i = 0; i < 100; ++i) queries.push_back(rows.at(i * 7));
    std::vector<std::vector<int32_t>> first;
    for (const DenseKernel& kernel : DenseKernels()) {
      std::vector<TopK> tops(queries.size(), TopK(9));
      search.Search(
          queries, tops, [] { return false; }, &kernel);
      std::vector<std::vector<int32_t>> rows_found;
      for (const TopK& top : tops) rows_found.emplace_back(top.rows().begin(), top.rows().end());
      if (first.empty()) first = rows_found;
      REQUIRE(rows_found == first);
    }
  }
}

TEST_CASE("Ties go to the lowest row, or all follow on request") {
  Matrix X(9, 1);  // row 0 in the middle of eight rows at distance 1, at two places
  for (int64_t i = 1; i < 9; ++i) X(i, 0) = i % 2 == 0 ? 1 : -1;
  for (const Structure structure : {Structure::kTree, Structure::kDense}) {
    NeighborIndex index;
    REQUIRE(index.Build(X, {}, {}, structure).ok());
    REQUIRE(OfTraining(index, 3).rows[0] == std::vector<int32_t>{1, 2, 3});
    REQUIRE(OfTraining(index, 3, {}, 100).rows[0] == std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8});
    REQUIRE(OfTraining(index, 3, {}, 5).rows[0] == std::vector<int32_t>{1, 2, 3, 4, 5});
    REQUIRE(OfTraining(index, 2, {}, 100).rows[8] == std::vector<int32_t>{2, 4});  // equal rows: any two will do
    REQUIRE(OfTraining(index, 2).rows[8] == std::vector<int32_t>{2, 4});           // equal rows, not itself
  }
}

TEST_CASE("Many equal rows cost no more than few") {
  Matrix X = GridMatrix(60000, 3, 3, 1);  // 27 distinct rows
  X(59999, 0) = 50;
  for (const Structure structure : {Structure::kTree, Structure::kDense}) {
    const Found found = OfTraining(X, {}, 5, structure);
    REQUIRE(found.distances[0] == std::vector<double>(5, 0.0));
    REQUIRE(found.distances[59999][0] >= 48);
  }
}

TEST_CASE("New rows find the same neighbours alone, in a batch, and beside rows that are equal") {
  const Matrix X = GridMatrix(900, 3, 4, 5), apart = NormalMatrix(900, 3, 6);
  Matrix asked = GridMatrix(700, 3, 6, 7);  // some are training rows, some are not, many are equal
  for (int64_t i = 0; i < 20; ++i) asked(i, 0) = -0.0;
  for (const Matrix* from : {&X, &apart}) {
    NeighborIndex index;
    REQUIRE(index.Build(*from, {}, {}).ok());
    const auto of = [&](MatrixView rows) {
      Found found{std::vector<std::vector<double>>(rows.rows), std::vector<std::vector<int32_t>>(rows.rows)};
      const auto keep = [&](int64_t i, std::span<const double> distances, std::span<const int32_t> near) {
        found.distances[i].assign(distances.begin(), distances.end());
        found.rows[i].assign(near.begin(), near.end());
      };
      REQUIRE(index.Of(rows, 7, {}, keep, 30).ok());
      return found;
    };
    const Found together = of(asked);
    int64_t wrong = 0;
    for (int64_t i = 0; i < asked.rows(); ++i) {
      const Found alone = of(asked.view().Rows(i, 1));
      wrong += alone.rows[0] != together.rows[i] || alone.distances[0] != together.distances[i] ? 1 : 0;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("Extreme magnitudes give finite distances") {
  for (const double scale : {1e308, 1e200, 1e-200, 1e-308}) {
    for (const Metric& metric : {Metric{}, Metric{MetricKind::kManhattan, 1}, Metric{MetricKind::kMinkowski, 10}}) {
      Matrix X = NormalMatrix(50, 3, 9);
      for (int64_t i = 0; i < 150; ++i) X.data()[i] = std::clamp(X.data()[i], -1.5, 1.5) * scale;
      NeighborIndex index;
      REQUIRE(index.Build(X, metric, {}).ok());
      const Found found = OfTraining(index, 4);
      for (const std::vector<double>& distances : found.distances) {
        for (const double distance : distances) {
          REQUIRE(std::isfinite(distance));
          REQUIRE(distance > 0);
        }
      }
    }
  }
}

TEST_CASE("The same bits with and without threads, cancelled searches say so") {
  const Matrix X = NormalMatrix(3000, 6, 2);
  ThreadPool pool(3);
  Context threaded;
  threaded.pool = &pool;
  REQUIRE(OfTraining(X, {}, 8, Structure::kTree, threaded) == OfTraining(X, {}, 8, Structure::kTree));
  REQUIRE(OfTraining(X, {}, 8, Structure::kDense, threaded) == OfTraining(X, {}, 8, Structure::kDense));

  NeighborIndex index;
  REQUIRE(index.Build(X, {}, {}).ok());
  std::stop_source stop;
  stop.request_stop();
  Context cancelled;
  cancelled.stop = stop.get_token();
  REQUIRE(absl::IsCancelled(index.OfTrainingRows(5, cancelled, [](int64_t, auto, auto) {})));
}

}  // namespace vedette::outlier
