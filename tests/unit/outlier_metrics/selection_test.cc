#include "outlier/selection.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "outlier/registry.h"

namespace vedette::outlier {
namespace {

table::Table SomeTable(int64_t rows, int numeric, bool category) {
  table::Table t;
  for (int j = 0; j < numeric; ++j) {
    table::Column c{"x" + std::to_string(j), table::ColumnType::kNumeric, {}, {}, {}};
    for (int64_t i = 0; i < rows; ++i) c.values.push_back(std::exp(0.1 * static_cast<double>((i * (7 + j)) % 31)));
    t.columns.push_back(std::move(c));
  }
  if (category) {
    table::Column c{"colour", table::ColumnType::kCategorical, {}, {}, {"red", "green", "blue", "grey"}};
    for (int64_t i = 0; i < rows; ++i) c.codes.push_back(static_cast<int32_t>(i % 4));
    t.columns.push_back(std::move(c));
  }
  return t;
}

DataProfile ProfileOfTable(const table::Table& t) {
  const auto preparation = table::Preparation::Fit(t, {});
  REQUIRE(preparation.ok());
  const auto X = preparation->Apply(t);
  REQUIRE(X.ok());
  return ProfileOf(t, *preparation, *X);
}

}  // namespace

TEST_CASE("a profile counts rows, features, categories and missing cells") {
  table::Table t = SomeTable(200, 2, true);
  for (int i = 0; i < 20; ++i)
    t.columns[0].values[static_cast<size_t>(10 * i)] = std::numeric_limits<double>::quiet_NaN();
  const DataProfile p = ProfileOfTable(t);
  CHECK(p.rows == 200);
  CHECK(p.features == 6);
  CHECK(p.categorical_share == Approx(4.0 / 6));
  CHECK(p.missing_share == Approx(20.0 / 600));
  CHECK(p.skewness > 0);
  CHECK(p.skewness <= 1);
}

TEST_CASE("the rule always names an algorithm that exists, and says why") {
  const Catalog catalog({AllAlgorithms()});
  for (const int64_t rows : {1, 10, 49, 50, 1000}) {
    for (const int columns : {1, 2, 30, 2000}) {
      DataProfile p;
      p.rows = rows;
      p.features = columns;
      for (const double share : {0.0, 0.9}) {
        p.categorical_share = p.skewness = share;
        const Selection s = Select(p);
        CHECK(catalog.Find(s.algorithm).ok());
        CHECK(s.reason.size() > 20);
        REQUIRE(!s.picks.empty());
        CHECK(s.picks.size() <= 3);
        CHECK(s.picks[0].algorithm == s.algorithm);
        for (const auto& pick : s.picks) {
          const auto found = catalog.Find(pick.algorithm);
          REQUIRE(found.ok());
          CHECK(ParamSet::Make((*found)->params, pick.params).ok());
          CHECK(pick.cost.fit_seconds > 0);
          CHECK((pick.expected_quality >= 0 && pick.expected_quality <= 1));
        }
      }
    }
  }
}

TEST_CASE("few rows, one column and an ordinary table get different answers") {
  const Selection ordinary = Select(ProfileOfTable(SomeTable(500, 5, false)));
  CHECK(ordinary.algorithm == "ensemble");
  CHECK(ordinary.params.at("members").starts_with("iforest+"));
  REQUIRE(ordinary.picks.size() == 3);
  CHECK(ordinary.picks[0].algorithm != ordinary.picks[1].algorithm);
  CHECK(ordinary.picks[1].algorithm != ordinary.picks[2].algorithm);
  CHECK(ordinary.picks[1].expected_quality >= ordinary.picks[2].expected_quality);
  CHECK(Select(ProfileOfTable(SomeTable(20, 5, false))).algorithm == "ecod");
  CHECK(Select(ProfileOfTable(SomeTable(500, 1, false))).algorithm == "mad");
}

TEST_CASE("a table too large for the budget gets a cheap algorithm") {
  DataProfile p;
  p.rows = 50'000'000;
  p.features = 50;
  const Selection s = Select(p, {.budget_seconds = 5});
  CHECK(s.algorithm != "ensemble");
  CHECK(s.reason.size() > 20);
}

TEST_CASE("the consensus gives up sizes, then its dearest kinds, before it is given up") {
  DataProfile p;
  p.rows = 30'000;
  p.features = 12;
  const auto members = [&](double budget) {
    const Selection s = Select(p, {.budget_seconds = budget});
    double seconds = s.picks[0].cost.fit_seconds + s.picks[0].cost.score_seconds_per_row * static_cast<double>(p.rows);
    CHECK(seconds <= budget);
    return s.algorithm == "ensemble" ? s.params.at("members") : std::string();
  };
  const auto count = [](const std::string& text, char c) { return std::count(text.begin(), text.end(), c); };
  const std::string all = members(1e6);
  CHECK(count(all, '/') == 4);
  CHECK(count(all, '+') > 0);
  size_t longest = all.size();
  for (double budget = 1e3; budget > 1e-3; budget /= 1.5) {
    const std::string some = members(budget);
    CHECK(some.size() <= longest);
    longest = some.size();
    if (some.empty()) break;
  }
}

TEST_CASE("the consensus fits a table with fewer rows than its largest neighbourhood") {
  Matrix X(60, 3);
  for (int64_t i = 0; i < 60; ++i) {
    for (int64_t j = 0; j < 3; ++j) X(i, j) = static_cast<double>((i * (7 + 4 * j)) % 23) + (i == 17 ? 100 : 0);
  }
  const Selection s = Select(ProfileOf(X.view()));
  REQUIRE(s.algorithm == "ensemble");
  auto detector = MakeMember("ensemble", s.params);
  REQUIRE(detector.ok());
  REQUIRE((*detector)->Fit(X.view(), Context{}).ok());
  const auto scores = (*detector)->training_scores();
  CHECK(std::max_element(scores.begin(), scores.end()) - scores.begin() == 17);
}

TEST_CASE("the matrix that is compiled in is whole, and its nearest tables count most") {
  const SelectionMatrix& matrix = BuiltInMatrix();
  REQUIRE(matrix.tables.size() >= 100);
  std::vector<std::string> columns = SelectionCandidates();
  for (const ConsensusDesign& design : ConsensusDesigns()) columns.push_back(design.name);
  CHECK(matrix.candidates == columns);
  SelectionMatrix two{{"a", "b"}, {}, {}, {}};
  const size_t meta = MetaFeatureNames().size();
  for (int i = 0; i < 60; ++i) {
    two.tables.push_back("t");
    two.features.emplace_back(meta, i < 30 ? 0.0 : 10.0);
    two.quality.push_back(i < 30 ? std::vector<double>{0.9, 0.5} : std::vector<double>{0.5, 0.9});
  }
  DataProfile p;
  p.rows = p.features = 1;
  const std::vector<double> near = ExpectedQuality(two, p);
  CHECK(near[0] > near[1] + 0.2);
  CHECK_FALSE(ParseMatrix("table,a\n").ok());
  CHECK_FALSE(ParseMatrix("").ok());
}

TEST_CASE("profiles see trend, season, correlation and dimension, and survive any numbers") {
  Matrix X(600, 3);
  for (int64_t i = 0; i < 600; ++i) {
    const double t = static_cast<double>(i);
    X(i, 0) = t;
    X(i, 1) = 2 * t + 1;
    X(i, 2) = 3 - t;
  }
  DataProfile p = ProfileOf(X.view());
  CHECK(p.trend == Approx(1));
  CHECK(p.correlation == Approx(1));
  CHECK(p.dimension == Approx(1.0 / 3));
  for (int64_t i = 0; i < 600; ++i) {
    for (int64_t j = 0; j < 3; ++j) X(i, j) = std::sin(2 * 3.14159265 * static_cast<double>(i + 3 * j) / 12);
  }
  p = ProfileOf(X.view());
  CHECK(p.seasonality > 0.9);
  CHECK(p.trend < 0.1);
  for (int64_t i = 0; i < 600; ++i) {
    X(i, 0) = i % 2 ? 1.7e308 : -1.7e308;
    X(i, 1) = std::numeric_limits<double>::quiet_NaN();
    X(i, 2) = 5;
  }
  for (const double f : MetaFeatures(ProfileOf(X.view()))) CHECK(std::isfinite(f));
}

}  // namespace vedette::outlier
