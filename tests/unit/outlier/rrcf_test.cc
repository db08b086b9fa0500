#include <catch2/catch.hpp>
#include <cmath>

#include "base/rng.h"
#include "outlier/model.h"

namespace vedette::outlier {
namespace {

/// Two clusters in column a, at -10 and 10; noise in b.
Matrix Clusters(int64_t n) {
  Rng rng(3);
  Matrix X(n, 2);
  for (int64_t i = 0; i < n; ++i) {
    X(i, 0) = rng.Normal() + (i % 2 == 0 ? -10 : 10);
    X(i, 1) = rng.Normal();
  }
  return X;
}

Matrix Rows(const std::vector<std::vector<double>>& rows) {
  Matrix X(static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size()));
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < rows[i].size(); ++j) X(static_cast<int64_t>(i), static_cast<int64_t>(j)) = rows[i][j];
  }
  return X;
}

std::unique_ptr<Detector> ForestOf(const Matrix& X) {
  const Catalog catalog({AllAlgorithms()});
  const auto found = catalog.Find("rrcf");
  REQUIRE(found.ok());
  auto detector = (*found)->make(*ParamSet::Make((*found)->params, {}));
  REQUIRE(detector->Fit(X.view(), Context{}).ok());
  return detector;
}

}  // namespace

TEST_CASE("rrcf: displacement from above and from below, apart; together they are the contribution") {
  const Matrix X = Clusters(500);
  const auto detector = ForestOf(X);
  // Above everything, below everything, in the hole between the clusters, above in one column and below in the other.
  const Matrix asked = Rows({{40, 0}, {-40, 0}, {0, 0}, {40, -30}, {10, 0}});
  const auto a = detector->Explain(asked.view(), Context{});
  REQUIRE(a.ok());
  REQUIRE(a->high.rows() == 5);
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      CHECK(a->high(i, j) >= 0);
      CHECK(a->low(i, j) >= 0);
      CHECK(a->contributions(i, j) == a->high(i, j) + a->low(i, j));
    }
  }
  CHECK(a->high(0, 0) > 0.5);
  CHECK(a->low(0, 0) == 0);
  CHECK(a->low(1, 0) > 0.5);
  CHECK(a->high(1, 0) == 0);
  // The hole is no border of the whole: each tree's next box lies on the one side or the other.
  CHECK(a->high(2, 0) > 0.1 * a->contributions(2, 0));
  CHECK(a->low(2, 0) > 0.1 * a->contributions(2, 0));
  CHECK(a->high(3, 0) > 0);
  CHECK(a->low(3, 0) == 0);
  CHECK(a->low(3, 1) > 0);
  CHECK(a->high(3, 1) == 0);
  // What is displaced is what the score says: but for the part that goes on to the leaf, which is small so far out.
  std::vector<double> scores(5);
  REQUIRE(detector->Score(asked.view(), scores, Context{}).ok());
  for (int64_t i = 0; i < 5; ++i) {
    const double sum = a->contributions(i, 0) + a->contributions(i, 1);
    CHECK(sum <= scores[static_cast<size_t>(i)] * (1 + 1e-12));
    if (i != 4) CHECK(sum > 0.7 * scores[static_cast<size_t>(i)]);
  }
}

TEST_CASE("rrcf: the sides come with a model's explanation, in the user's columns; not where the cell is missing") {
  table::Table t;
  t.columns.resize(2);
  t.columns[0].name = "a";
  t.columns[1].name = "b";
  const Matrix X = Clusters(300);
  for (int64_t i = 0; i < 300; ++i) {
    t.columns[0].values.push_back(X(i, 0));
    t.columns[1].values.push_back(i == 7 ? std::nan("") : 1000 + 50 * X(i, 1));
  }
  auto preparation = table::Preparation::Fit(t, {.scaling = table::Scaling::kStandard});
  REQUIRE(preparation.ok());
  const Matrix prepared = *preparation->Apply(t);
  const Catalog catalog({AllAlgorithms()});
  const auto model = Model::Fit(catalog, {.algorithm = "rrcf"}, *preparation, prepared.view(), Context{});
  REQUIRE(model.ok());
  const auto rows = (*model)->Explain(prepared.view(), Context{}, nullptr, &t);
  REQUIRE(rows.ok());
  for (size_t i = 0; i < rows->size(); ++i) {
    for (const FeatureContribution& f : (*rows)[i]) {
      if (i == 7 && f.feature == "b") {
        CHECK(std::isnan(f.high));
        CHECK(std::isnan(f.low));
      } else {
        CHECK(f.high + f.low == f.contribution);
      }
    }
  }
  const auto knn = Model::Fit(catalog, {.algorithm = "knn"}, *preparation, prepared.view(), Context{});
  REQUIRE(knn.ok());
  const auto others = (*knn)->Explain(prepared.view(), Context{}, nullptr, &t);
  REQUIRE(others.ok());
  CHECK(std::isnan((*others)[0][0].high));
}

}  // namespace vedette::outlier
