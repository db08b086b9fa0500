#include "outlier/selection.h"

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
        REQUIRE(!s.candidates.empty());
        CHECK(s.candidates[0] == s.algorithm);
        for (const auto& candidate : s.candidates) CHECK(catalog.Find(candidate).ok());
      }
    }
  }
}

TEST_CASE("few rows, one column and an ordinary table get different answers") {
  CHECK(Select(ProfileOfTable(SomeTable(500, 5, false))).algorithm == "iforest");
  CHECK(Select(ProfileOfTable(SomeTable(20, 5, false))).algorithm == "ecod");
  CHECK(Select(ProfileOfTable(SomeTable(500, 1, false))).algorithm == "mad");
}

}  // namespace vedette::outlier
