// TreeSHAP against the definition: all coalitions of small random forests.
#include "explain/tree_shap.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

#include "base/rng.h"
#include "base/thread_pool.h"

namespace vedette::explain {
namespace {

/// A random tree of at most `depth` splits on `features` features, uneven covers, any values.
outlier::TreeView RandomTree(int features, int depth, Rng& rng) {
  outlier::TreeView tree;
  const std::function<int32_t(int, double)> grow = [&](int left_depth, double cover) {
    const auto node = static_cast<int32_t>(tree.feature.size());
    const bool leaf = left_depth == 0 || (left_depth < depth && rng.Uniform() < 0.15);
    tree.feature.push_back(leaf ? -1 : static_cast<int32_t>(rng.Below(static_cast<uint64_t>(features))));
    tree.threshold.push_back(leaf ? 0 : rng.Normal());
    tree.cover.push_back(cover);
    tree.value.push_back(rng.Normal() + 3);
    tree.left.push_back(-1);
    tree.right.push_back(-1);
    if (leaf) return node;
    const double share = rng.Uniform(0.05, 0.95);
    const int32_t left = grow(left_depth - 1, cover * share), right = grow(left_depth - 1, cover * (1 - share));
    const auto n = static_cast<size_t>(node), l = static_cast<size_t>(left), r = static_cast<size_t>(right);
    tree.left[n] = left;
    tree.right[n] = right;
    tree.value[n] = (tree.cover[l] * tree.value[l] + tree.cover[r] * tree.value[r]) / tree.cover[n];
    return node;
  };
  grow(depth, 256);
  return tree;
}

outlier::ForestView RandomForest(int features, int depth, int trees, uint64_t seed) {
  Rng rng(seed);
  outlier::ForestView forest{features, 1, {}};
  for (int t = 0; t < trees; ++t) forest.trees.push_back(RandomTree(features, depth, rng));
  return forest;
}

Matrix Normal(int64_t rows, int64_t cols, uint64_t seed) {
  Matrix X(rows, cols);
  Rng rng(seed);
  for (int64_t j = 0; j < cols; ++j) {
    for (double& x : X.col(j)) x = rng.Normal();
  }
  return X;
}

/// v(S): the walk of the definition; an absent feature goes both ways, or takes `other`'s value.
double Value(const outlier::TreeView& tree, size_t node, const Matrix& rows, uint32_t present, const double* other) {
  const int32_t f = tree.feature[node];
  if (f < 0) return tree.value[node];
  const auto left = static_cast<size_t>(tree.left[node]), right = static_cast<size_t>(tree.right[node]);
  const auto go = [&](bool to_left) { return Value(tree, to_left ? left : right, rows, present, other); };
  if ((present >> f & 1) != 0) return go(rows(0, f) <= tree.threshold[node]);
  if (other != nullptr) return go(other[f] <= tree.threshold[node]);
  return (tree.cover[left] * go(true) + tree.cover[right] * go(false)) / tree.cover[node];
}

std::vector<double> ByDefinition(const outlier::ForestView& forest, const Matrix& row, const Matrix* background) {
  const auto m = static_cast<uint32_t>(forest.features);
  std::vector<double> v(size_t{1} << m), phi(m);
  for (uint32_t s = 0; s < v.size(); ++s) {
    for (const auto& tree : forest.trees) {
      if (background == nullptr) {
        v[s] += Value(tree, 0, row, s, nullptr) / static_cast<double>(forest.trees.size());
        continue;
      }
      for (int64_t i = 0; i < background->rows(); ++i) {
        std::vector<double> other;
        for (int64_t j = 0; j < background->cols(); ++j) other.push_back((*background)(i, j));
        v[s] += Value(tree, 0, row, s, other.data()) /
                static_cast<double>(forest.trees.size() * static_cast<size_t>(background->rows()));
      }
    }
  }
  for (uint32_t j = 0; j < m; ++j) {
    for (uint32_t s = 0; s < v.size(); ++s) {
      if ((s >> j & 1) != 0) continue;
      const double size = std::popcount(s);
      const double weight = std::exp(std::lgamma(size + 1) + std::lgamma(m - size) - std::lgamma(m + 1.0));
      phi[j] += weight * (v[s | 1U << j] - v[s]);
    }
  }
  return phi;
}

}  // namespace

TEST_CASE("TreeSHAP equals enumeration, on shallow and deep paths, with features that return") {
  struct Case {
    int features, depth, trees;
  };
  for (const Case& c : {Case{1, 1, 1}, Case{2, 6, 3}, Case{4, 5, 4}, Case{9, 11, 2}, Case{12, 14, 1}}) {
    CAPTURE(c.features, c.depth);
    const outlier::ForestView forest = RandomForest(c.features, c.depth, c.trees, static_cast<uint64_t>(c.features));
    const Matrix row = Normal(1, c.features, 5), background = Normal(3, c.features, 6);
    const auto shap = TreeShap::Make(forest);
    REQUIRE(shap.ok());
    const auto path = shap->PathDependent(row, Context{});
    REQUIRE(path.ok());
    const auto prepared = shap->Prepare(background, Context{});
    REQUIRE(prepared.ok());
    const auto interventional = shap->Interventional(row, *prepared, Context{});
    REQUIRE(interventional.ok());
    const std::vector<double> path_phi = ByDefinition(forest, row, nullptr),
                              other_phi = ByDefinition(forest, row, &background);
    double path_sum = path->expected, other_sum = interventional->expected;
    for (int64_t j = 0; j < c.features; ++j) {
      CHECK(std::fabs(path->phi(0, j) - path_phi[static_cast<size_t>(j)]) < 1e-11);
      CHECK(std::fabs(interventional->phi(0, j) - other_phi[static_cast<size_t>(j)]) < 1e-11);
      path_sum += path->phi(0, j);
      other_sum += interventional->phi(0, j);
    }
    CHECK(std::fabs(path_sum - path->output[0]) < 1e-12);
    CHECK(std::fabs(other_sum - interventional->output[0]) < 1e-12);
  }
}

TEST_CASE("a row's TreeSHAP values have the same bits alone, in a batch and on any number of threads") {
  const outlier::ForestView forest = RandomForest(10, 12, 20, 3);
  const Matrix rows = Normal(150, 10, 4), background = Normal(40, 10, 5);
  const auto shap = TreeShap::Make(forest);
  REQUIRE(shap.ok());
  const auto prepared = shap->Prepare(background, Context{});
  REQUIRE(prepared.ok());
  ThreadPool pool(3);
  const auto path = shap->PathDependent(rows, Context{.pool = &pool});
  const auto interventional = shap->Interventional(rows, *prepared, Context{.pool = &pool});
  REQUIRE(path.ok());
  REQUIRE(interventional.ok());
  for (const int64_t i : {0, 31, 32, 149}) {
    const auto alone = shap->PathDependent(rows.view().Rows(i, 1), Context{});
    const auto other = shap->Interventional(rows.view().Rows(i, 1), *prepared, Context{});
    for (int64_t j = 0; j < 10; ++j) {
      CHECK(alone->phi(0, j) == path->phi(i, j));
      CHECK(other->phi(0, j) == interventional->phi(i, j));
    }
  }
}

TEST_CASE("trees of one leaf explain nothing, and no trees are refused") {
  outlier::TreeView leaf{{-1}, {-1}, {-1}, {0}, {5}, {2.5}};
  outlier::ForestView forest{2, 1, {leaf}};
  const auto shap = TreeShap::Make(forest);
  REQUIRE(shap.ok());
  const auto got = shap->PathDependent(Normal(1, 2, 1), Context{});
  REQUIRE(got.ok());
  CHECK(got->expected == 2.5);
  CHECK(got->output[0] == 2.5);
  CHECK(got->phi(0, 0) == 0);
  const auto refused = [&](const outlier::TreeView& tree) {
    forest.trees = {tree};
    return TreeShap::Make(forest).status().code() == absl::StatusCode::kInvalidArgument;
  };
  outlier::TreeView split{{0, -1, -1}, {1, -1, -1}, {2, -1, -1}, {0, 0, 0}, {4, 2, 2}, {1, 1, 1}};
  CHECK_FALSE(refused(split));
  for (const int damage : {0, 1, 2, 3, 4}) {
    CAPTURE(damage);
    outlier::TreeView bad = split;
    if (damage == 0) bad.left[0] = 0;     // a circle
    if (damage == 1) bad.right[0] = 1;    // one child twice
    if (damage == 2) bad.right[0] = 3;    // beyond the end
    if (damage == 3) bad.feature[0] = 2;  // no such feature
    if (damage == 4) bad.cover[1] = 0;    // no rows
    CHECK(refused(bad));
  }
  // A path of more features than a mask has bits.
  outlier::TreeView deep;
  for (int32_t i = 0; i < 40; ++i) {
    deep.feature.insert(deep.feature.end(), {i, -1});
    deep.left.insert(deep.left.end(), {2 * i + 1, -1});
    deep.right.insert(deep.right.end(), {2 * i + 2, -1});
    deep.threshold.insert(deep.threshold.end(), {0, 0});
    deep.cover.insert(deep.cover.end(), {100.0 - i, 1});
    deep.value.insert(deep.value.end(), {1, 1});
  }
  deep.feature.push_back(-1);
  deep.left.push_back(-1);
  deep.right.push_back(-1);
  deep.threshold.push_back(0);
  deep.cover.push_back(60);
  deep.value.push_back(1);
  forest.features = 40;
  CHECK(refused(deep));
}

}  // namespace vedette::explain
