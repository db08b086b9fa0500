#include "services/feature-engine/core/profile.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/rng.h"

namespace vedette::feature_engine {
namespace {

TEST_CASE("a table of known shape") {
  Rng rng(3);
  table::Table t;
  t.columns.resize(4);
  t.columns[0].name = "normal";
  t.columns[1].name = "double";
  t.columns[2].name = "skewed";
  t.columns[3] = {.name = "kind", .type = table::ColumnType::kCategorical, .categories = {"a", "b"}};
  for (int i = 0; i < 5000; ++i) {
    const double v = rng.Normal();
    t.columns[0].values.push_back(v);
    t.columns[1].values.push_back(2 * v);
    t.columns[2].values.push_back(i % 10 == 0 ? NAN : -std::log(1 - rng.Uniform()));
    t.columns[3].codes.push_back(i % 2);
  }
  const auto preparation = table::Preparation::Fit(t, {});
  REQUIRE(preparation.ok());
  const DataProfile p = ProfileOf(t, *preparation, *preparation->Apply(t));
  CHECK(p.rows == 5000);
  CHECK(p.features == static_cast<int64_t>(preparation->features().size()));
  CHECK(p.missing_share == Approx(0.025));
  CHECK(p.categorical_share == Approx(static_cast<double>(p.features - 3) / static_cast<double>(p.features)));
  CHECK(p.median_abs_skewness < 0.15);
  CHECK(p.median_kurtosis == Approx(0).margin(0.3));
  CHECK(p.mean_abs_correlation == Approx(1.0 / 3).margin(0.03));
  CHECK(p.outlier_share == Approx(0.03).margin(0.02));
}

TEST_CASE("constant columns and single rows give zeros, not NaN") {
  table::Table t;
  t.columns.resize(1);
  t.columns[0] = {.name = "x", .values = {5}};
  const auto preparation = table::Preparation::Fit(t, {});
  REQUIRE(preparation.ok());
  const DataProfile p = ProfileOf(t, *preparation, *preparation->Apply(t));
  CHECK(p.median_kurtosis == 0);
  CHECK(p.mean_abs_correlation == 0);
  CHECK(p.outlier_share == 0);
}

}  // namespace
}  // namespace vedette::feature_engine
