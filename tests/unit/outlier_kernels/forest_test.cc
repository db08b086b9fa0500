#include <catch2/catch.hpp>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numeric>

#include "outlier/kernels/float_map.h"
#include "outlier/kernels/isolation_tree.h"
#include "outlier/kernels/packed_forest.h"
#include "outlier/kernels/path_parts.h"
#include "unit/outlier_kernels/samples.h"

namespace vedette::outlier {
namespace {

std::vector<IsolationTree> Trees(int64_t count, int64_t psi, int64_t d, int depth) {
  std::vector<IsolationTree> trees;
  for (int64_t t = 0; t < count; ++t) {
    Rng rng(3, t);
    std::vector<float> sample(psi * d);
    for (float& v : sample) v = static_cast<float>(rng.Normal());
    std::vector<int32_t> candidates(d);
    std::iota(candidates.begin(), candidates.end(), 0);
    trees.push_back(IsolationTree::Grow(sample, psi, candidates, depth, rng));
  }
  return trees;
}

double MeanPath(const std::vector<IsolationTree>& trees, const std::vector<float>& row) {
  double sum = 0;
  for (const IsolationTree& tree : trees) {
    size_t node = 0;
    while (tree.feature[node] >= 0)
      node = row[tree.feature[node]] <= tree.threshold[node] ? node + 1 : tree.right[node];
    sum += tree.path_length[node];
  }
  return sum / static_cast<double>(trees.size());
}

}  // namespace

TEST_CASE("Average path length follows the paper") {
  REQUIRE(AveragePathLength(0) == 0);
  REQUIRE(AveragePathLength(1) == 0);
  REQUIRE(AveragePathLength(2) == 1);
  REQUIRE(AveragePathLength(256) == Approx(10.244770920116851));
}

TEST_CASE("Every forest kernel gives the same bits as walking the nodes, at any depth") {
  for (const int depth : {1, 3, 4, 5, 6, 7, 8, 9, 11, 14}) {
    for (const int64_t d : {1, 9, 70}) {
      const int64_t psi = int64_t{1} << depth;
      const std::vector<IsolationTree> trees = Trees(depth > 9 ? 19 : 37, psi, d, depth);
      const PackedForest forest(trees, d);
      const int64_t rows = 75;
      Matrix X = NormalMatrix(rows, d, 8);
      X(3, 0) = std::numeric_limits<double>::infinity();
      const FloatMap map = FloatMap::Fit(X);
      const AlignedArray<float> groups((forest.block_rows() + 64) * d);
      std::fill_n(groups.get(), groups.size(), 0.0F);
      std::vector<std::vector<double>> results;
      for (const ForestKernel kernel : ForestKernels()) {
        std::vector<double> lengths(rows);
        for (int64_t at = 0; at < rows; at += forest.block_rows()) {
          const int64_t count = std::min(forest.block_rows(), rows - at);
          map.MapGroups(X, at, count, groups.get());
          forest.PathLengths(groups.get(), count, std::span(lengths).subspan(at, count), kernel);
        }
        for (const int64_t few : {int64_t{1}, int64_t{9}, PackedForest::kFewRows}) {
          std::vector<double> own(static_cast<size_t>(few));
          map.MapGroups(X, 0, few, groups.get());
          forest.PathLengths(groups.get(), few, own);
          REQUIRE(std::equal(own.begin(), own.end(), lengths.begin()));
        }
        results.push_back(lengths);
        REQUIRE(results.back() == results.front());
      }
      for (int64_t i = 0; i < rows; ++i) {
        std::vector<float> row(d);
        for (int64_t j = 0; j < d; ++j) row[j] = map.Map(X(i, j), j);
        REQUIRE(results.front()[i] == Approx(MeanPath(trees, row)).margin(1e-4));
      }
    }
  }
}

TEST_CASE("Parts of paths have the same bits for one row and for many, and add up to the path") {
  for (const int depth : {1, 4, 8, 14}) {
    const int64_t d = 5, n = 70;
    const std::vector<IsolationTree> trees = Trees(6, 300, d, depth);
    Rng rng(static_cast<uint64_t>(depth));
    std::vector<float> rows(static_cast<size_t>(n * d));
    for (float& v : rows) v = static_cast<float>(rng.Normal());
    std::vector<double> together(rows.size()), alone(rows.size());
    double root = 0;
    for (const IsolationTree& tree : trees) {
      AddPathParts(tree, rows.data(), n, d, together.data());
      for (int64_t i = 0; i < n; ++i) AddPathParts(tree, rows.data() + i * d, 1, d, alone.data() + i * d);
      root += tree.path_length[0];
    }
    REQUIRE(together == alone);
    for (int64_t i = 0; i < n; ++i) {
      const std::vector<float> row(rows.begin() + i * d, rows.begin() + (i + 1) * d);
      const double sum = std::accumulate(alone.begin() + i * d, alone.begin() + (i + 1) * d, 0.0);
      REQUIRE(sum == Approx(root - 6 * MeanPath(trees, row)).margin(1e-4));
    }
  }
}

TEST_CASE("Leaves' parts have the bits of walked paths, and every kernel finds the same leaves") {
  for (const int depth : {1, 5, 8, 11}) {
    for (const int64_t d : {1, 8, 21, 64}) {
      const std::vector<IsolationTree> trees = Trees(37, 400, d, depth);
      const PackedForest forest(trees, d);
      const int64_t n = std::min<int64_t>(75, forest.block_rows());
      Matrix X = NormalMatrix(n, d, 8);
      X(3, 0) = std::numeric_limits<double>::infinity();
      const FloatMap map = FloatMap::Fit(X);
      const AlignedArray<float> groups((forest.block_rows() + 64) * d);
      std::fill_n(groups.get(), groups.size(), 0.0F);
      map.MapGroups(X, 0, n, groups.get());
      std::vector<std::vector<int32_t>> leaves;
      for (const ForestKernel kernel : ForestKernels()) {
        const AlignedArray<int32_t> own(5 * 128);
        forest.Leaves(groups.get(), n, 32, 5, own.get(), kernel);
        leaves.emplace_back(own.get(), own.get() + 5 * ((n + 63) / 64 * 64));
        REQUIRE((leaves.back() == leaves.front()));
      }
      REQUIRE(LeafParts::Fits(forest, 37, d));
      std::vector<double> parts(static_cast<size_t>(n * d)), walked(parts.size()), lengths(static_cast<size_t>(n)),
          along(lengths.size());
      forest.PathLengths(groups.get(), n, lengths);
      LeafParts(trees, forest, d).Sum(forest, groups.get(), n, parts.data(), along.data());
      REQUIRE(along == lengths);
      for (const int64_t few : {int64_t{1}, int64_t{3}, PackedForest::kFewRows}) {
        std::vector<double> few_parts(static_cast<size_t>(few * d)), few_lengths(static_cast<size_t>(few));
        forest.PathParts(groups.get(), few, few_parts.data(), few_lengths.data());
        REQUIRE(std::equal(few_lengths.begin(), few_lengths.end(), lengths.begin()));
        for (int64_t f = 0; f < d; ++f) {
          for (int64_t r = 0; r < few; ++r) REQUIRE(few_parts[f * few + r] == parts[f * n + r]);
        }
        const AlignedArray<int32_t> own(5 * 64);
        forest.Leaves(groups.get(), few, 32, 5, own.get());
        for (int64_t t = 0; t < 5; ++t) {
          for (int64_t r = 0; r < few; ++r)
            REQUIRE(own[t * 64 + r] == leaves.front()[static_cast<size_t>(t * ((n + 63) / 64 * 64) + r)]);
        }
      }
      std::vector<float> rows;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < d; ++j) rows.push_back(map.Map(X(i, j), j));
      }
      for (const IsolationTree& tree : trees) AddPathParts(tree, rows.data(), n, d, walked.data());
      int64_t wrong = 0;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < d; ++j) wrong += parts[j * n + i] != walked[i * d + j] ? 1 : 0;
      }
      REQUIRE(wrong == 0);
    }
  }
  const std::vector<IsolationTree> deep = Trees(2, 5000, 3, 14);
  REQUIRE_FALSE(LeafParts::Fits(PackedForest(deep, 3), 2, 3));
  const std::vector<IsolationTree> wide = Trees(2, 100, 65, 6);
  REQUIRE_FALSE(LeafParts::Fits(PackedForest(wide, 65), 2, 65));
}

TEST_CASE("An isolation forest explains a row with the same bits alone, in a batch, and beside rows that lack values") {
  const Matrix X = NormalMatrix(500, 7, 5);
  const auto forest = Make("iforest");
  REQUIRE(forest->Fit(X, Context{}).ok());
  const Matrix fresh = NormalMatrix(70, 7, 6);
  Matrix with_missing = fresh;
  with_missing(0, 2) = std::nan("");
  const auto batch = forest->Explain(fresh, Context{}), beside = forest->Explain(with_missing, Context{});
  REQUIRE(batch.ok());
  REQUIRE(beside.ok());
  int64_t wrong = 0;
  for (int64_t i = 0; i < 70; ++i) {
    const auto alone = forest->Explain(fresh.view().Rows(i, 1), Context{});
    REQUIRE(alone.ok());
    for (int64_t j = 0; j < 7; ++j) {
      wrong += alone->contributions(0, j) != batch->contributions(i, j) ? 1 : 0;
      wrong += alone->Expected(0, j) != batch->Expected(i, j) ? 1 : 0;
      wrong += i > 0 && alone->contributions(0, j) != beside->contributions(i, j) ? 1 : 0;
    }
  }
  REQUIRE(wrong == 0);
}

TEST_CASE("The map to float32 keeps order, digits near the median, and range") {
  Matrix X(5, 3);
  for (int64_t i = 0; i < 5; ++i) {
    X(i, 0) = 1.7e9 + static_cast<double>(i);      // one float32 step at 1.7e9 is 128
    X(i, 1) = static_cast<double>(i - 2) * 8e307;  // differences overflow
    X(i, 2) = i == 4 ? 1e308 : 1e-300 * static_cast<double>(i);
  }
  const FloatMap map = FloatMap::Fit(X);
  for (int64_t j = 0; j < 3; ++j) {
    for (int64_t i = 1; i < 5; ++i) REQUIRE(map.Map(X(i, j), j) > map.Map(X(i - 1, j), j));
  }
  REQUIRE(map.Map(std::numeric_limits<double>::infinity(), 0) == FLT_MAX);
  REQUIRE(map.Map(std::nan(""), 0) == -FLT_MAX);
  const Matrix normal = NormalMatrix(100, 4, 1);
  const FloatMap four = FloatMap::Fit(normal);
  const AlignedArray<float> groups(128 * 4);
  four.MapGroups(normal, 10, 83, groups.get());
  for (int64_t i = 0; i < 83; ++i) {
    for (int64_t j = 0; j < 4; ++j) REQUIRE(groups[i / 8 * 32 + j * 8 + i % 8] == four.Map(normal(10 + i, j), j));
  }
}

TEST_CASE("Trees that are not whole, too deep, or name unknown features are refused") {
  const auto load = [](std::vector<int32_t> feature, std::vector<float> threshold) {
    ByteWriter out;
    out.I32s(feature);
    out.Floats(threshold);
    ByteReader in(out.bytes());
    IsolationTree::Load(in, 2, 3);
    return in.status();
  };
  REQUIRE(load({0, -1, -2}, {0.5F, 0, 0}).ok());
  REQUIRE_FALSE(load({}, {}).ok());
  REQUIRE_FALSE(load({0, -1}, {0.5F, 0}).ok());
  REQUIRE_FALSE(load({0, -1, -1, -1}, {0.5F, 0, 0, 0}).ok());
  REQUIRE_FALSE(load({2, -1, -1}, {0.5F, 0, 0}).ok());
  REQUIRE_FALSE(load({0, -1, -1}, {0.5F, 0}).ok());
  REQUIRE_FALSE(load({0, -1, -1}, {std::nanf(""), 0, 0}).ok());
  REQUIRE_FALSE(load({0, std::numeric_limits<int32_t>::min(), -1}, {0.5F, 0, 0}).ok());
  REQUIRE_FALSE(load({0, 0, 0, 0, -1, -1, -1, -1, -1}, std::vector<float>(9, 0.0F)).ok());
}

}  // namespace vedette::outlier
