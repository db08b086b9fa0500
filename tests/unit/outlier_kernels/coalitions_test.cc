#include "outlier/coalitions.h"

#include <catch2/catch.hpp>

#include "base/thread_pool.h"
#include "outlier/kernels/coalition_search.h"
#include "outlier/kernels/neighbors.h"
#include "unit/outlier_kernels/samples.h"

namespace vedette::outlier {
namespace {

std::vector<uint64_t> Masks(size_t players, int64_t count, uint64_t seed) {
  const uint64_t all = players >= 64 ? ~uint64_t{0} : (uint64_t{1} << players) - 1;
  std::vector<uint64_t> masks = {0, all};
  Rng rng(seed);
  while (std::ssize(masks) < count) masks.push_back(rng.Next() & all);
  return masks;
}

/// The rows themselves, in the order of CoalitionScorer::Score.
Matrix RowsOf(const CoalitionRows& rows, std::span<const uint64_t> masks) {
  const int64_t n = rows.background.rows;
  Matrix X(std::ssize(masks) * n, rows.background.cols);
  for (int64_t i = 0; i < X.rows(); ++i) {
    for (int64_t j = 0; j < X.cols(); ++j) X(i, j) = rows.background(i % n, j);
    for (size_t p = 0; p < rows.players.size(); ++p) {
      if ((masks[static_cast<size_t>(i / n)] >> p & 1) == 0) continue;
      for (const int64_t j : rows.players[p]) X(i, j) = rows.row[static_cast<size_t>(j)];
    }
  }
  return X;
}

std::vector<std::vector<int64_t>> OneEach(int64_t d) {
  std::vector<std::vector<int64_t>> players;
  for (int64_t j = 0; j < d; ++j) players.push_back({j});
  return players;
}

struct Case {
  std::string name;
  Matrix train;
  Matrix others;  // the first is explained
  std::vector<std::vector<int64_t>> players;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  cases.push_back({"many columns", NormalMatrix(500, 21, 1), NormalMatrix(8, 21, 2), OneEach(21)});
  cases.push_back({"several blocks", NormalMatrix(2300, 13, 3), NormalMatrix(4, 13, 4), OneEach(13)});
  cases.push_back({"most players", NormalMatrix(130, 64, 5), NormalMatrix(3, 64, 6), OneEach(64)});
  cases.push_back({"ties and repeated rows", GridMatrix(600, 8, 2, 7), GridMatrix(6, 8, 2, 8), OneEach(8)});
  cases.push_back(
      {"far from the origin", NormalMatrix(300, 12, 9, 1e-3, 1e6), NormalMatrix(5, 12, 10, 1e-3, 1e6), OneEach(12)});
  cases.push_back({"groups, and columns of nobody",
                   NormalMatrix(300, 9, 11),
                   NormalMatrix(5, 9, 12),
                   {{0, 3}, {1}, {5, 6, 7}, {8}}});
  cases.push_back({"fewer rows than neighbours", NormalMatrix(4, 6, 13), NormalMatrix(3, 6, 14), OneEach(6)});
  Matrix far = NormalMatrix(4, 12, 15);
  for (int64_t j = 0; j < 12; ++j) far(0, j) = j % 2 == 0 ? 1e200 : -1e30;
  cases.push_back({"a row beyond float32", NormalMatrix(200, 12, 16), std::move(far), OneEach(12)});
  cases.push_back({"tiny numbers", NormalMatrix(200, 12, 17, 1e-200), NormalMatrix(4, 12, 18, 1e-200), OneEach(12)});
  cases.push_back({"all equal", GridMatrix(100, 10, 1, 19), GridMatrix(3, 10, 1, 20), OneEach(10)});
  return cases;
}

struct Scored {
  std::vector<std::vector<double>> distances;
  std::vector<std::vector<int32_t>> rows;
  explicit Scored(int64_t n) : distances(static_cast<size_t>(n)), rows(static_cast<size_t>(n)) {}
  auto Visit() {
    return [this](int64_t i, std::span<const double> d, std::span<const int32_t> r) {
      distances[static_cast<size_t>(i)].assign(d.begin(), d.end());
      rows[static_cast<size_t>(i)].assign(r.begin(), r.end());
    };
  }
  bool operator==(const Scored&) const = default;
};

}  // namespace

TEST_CASE("Neighbours of coalitions are those of the rows themselves, bit for bit, at any thread count") {
  ThreadPool pool(3);
  for (const Case& c : Cases()) {
    const CoalitionRows rows{std::vector<double>(), c.others.view().Rows(1, c.others.rows() - 1), c.players};
    std::vector<double> row;
    for (int64_t j = 0; j < c.others.cols(); ++j) row.push_back(c.others(0, j));
    CoalitionRows explained = rows;
    explained.row = row;
    const std::vector<uint64_t> masks = Masks(c.players.size(), 150, 21);
    const Matrix X = RowsOf(explained, masks);
    NeighborIndex index;
    REQUIRE(index.Build(c.train, {}, Context{}, NeighborIndex::Structure::kDense).ok());
    for (const auto& [k, ties] : {std::pair<int64_t, int64_t>{1, 0}, {5, 0}, {20, 100}, {60, 0}}) {
      CAPTURE(c.name, k);
      const auto search = index.ForCoalitions(explained, k);
      REQUIRE(search != nullptr);
      Scored expected(X.rows()), found(X.rows()), threads(X.rows());
      REQUIRE(index.Of(X, k, Context{}, expected.Visit(), ties).ok());
      REQUIRE(index.Of(*search, masks, k, Context{}, found.Visit(), ties).ok());
      REQUIRE(index.Of(*search, masks, k, Context{.pool = &pool}, threads.Visit(), ties).ok());
      REQUIRE((found == expected));
      REQUIRE((threads == expected));
    }
  }
}

TEST_CASE("Every kernel gives coalitions' sums the same bits") {
  constexpr int64_t kPanel = CoalitionSums::kPanel, kChoices = CoalitionSums::kChoices;
  for (const int64_t groups : {1, 2, 6, 16}) {
    const AlignedArray<float> table(groups * kChoices * kPanel);
    Rng rng(static_cast<uint64_t>(groups));
    for (int64_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(rng.Uniform(0, 1));
    const std::vector<uint64_t> masks = Masks(static_cast<size_t>(4 * groups), 33, 1);
    std::vector<std::vector<float>> results;
    for (const CoalitionKernel kernel : CoalitionKernels()) {
      const AlignedArray<float> sums(33 * (kPanel + 16)), least(33 * 8);
      std::fill_n(sums.get(), sums.size(), 0.0F);
      kernel({.table = table.get(),
              .groups = groups,
              .masks = masks.data(),
              .count = 33,
              .sums = sums.get(),
              .sums_stride = kPanel + 16,
              .least = least.get(),
              .least_stride = 8});
      for (int64_t m = 0; m < 33; ++m) {
        for (int64_t lane = 0; lane < 8; ++lane) {
          float low = sums[m * (kPanel + 16) + lane];
          for (int64_t t = lane; t < kPanel; t += 8) low = std::min(low, sums[m * (kPanel + 16) + t]);
          REQUIRE(least[m * 8 + lane] == low);
        }
      }
      std::vector<float> all(sums.get(), sums.get() + sums.size());
      all.insert(all.end(), least.get(), least.get() + least.size());
      results.push_back(std::move(all));
    }
    for (const auto& result : results) REQUIRE((result == results.front()));
  }
}

TEST_CASE("Detectors score coalitions as they score rows, or say that they cannot") {
  const Matrix train = NormalMatrix(400, 12, 1), others = NormalMatrix(6, 12, 2);
  std::vector<double> row;
  for (int64_t j = 0; j < 12; ++j) row.push_back(others(0, j));
  const CoalitionRows rows{row, others.view().Rows(1, 5), OneEach(12)};
  const std::vector<uint64_t> masks = Masks(12, 60, 3);
  const Matrix X = RowsOf(rows, masks);
  for (const auto& [name, params] : std::vector<std::pair<std::string, std::map<std::string, std::string>>>{
           {"knn", {}}, {"knn", {{"method", "median"}}}, {"knn_mean", {}}, {"lof", {}}}) {
    CAPTURE(name);
    const auto detector = Make(name, params);
    REQUIRE(detector->Fit(train, Context{}).ok());
    const auto* source = dynamic_cast<const CoalitionSource*>(detector.get());
    REQUIRE(source != nullptr);
    const auto scorer = source->Coalitions(rows);
    REQUIRE(scorer != nullptr);
    std::vector<double> expected(static_cast<size_t>(X.rows())), scores(expected.size());
    REQUIRE(detector->Score(X, expected, Context{}).ok());
    REQUIRE(scorer->Score(masks, scores, Context{}).ok());
    REQUIRE((scores == expected));
    std::stop_source stop;
    stop.request_stop();
    REQUIRE(absl::IsCancelled(scorer->Score(masks, scores, Context{.stop = stop.get_token()})));
  }
  const auto other = Make("knn", {{"metric", "manhattan"}});
  REQUIRE(other->Fit(train, Context{}).ok());
  REQUIRE(dynamic_cast<const CoalitionSource*>(other.get())->Coalitions(rows) == nullptr);
  const auto many = Make("knn", {{"n_neighbors", "200"}});
  REQUIRE(many->Fit(train, Context{}).ok());
  REQUIRE(dynamic_cast<const CoalitionSource*>(many.get())->Coalitions(rows) == nullptr);
}

}  // namespace vedette::outlier
