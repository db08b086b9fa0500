#include "services/feature-engine/core/baseline.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace vedette::feature_engine {
namespace {

TEST_CASE("statistics of a small column, by hand") {
  BaselineBuilder builder(100);
  builder.Add(std::vector<double>{3, NAN, 1});
  builder.Add(std::vector<double>{4, 2, 100, NAN});
  Baseline b;
  REQUIRE(builder.Finish(&b).ok());
  CHECK(b.count == 5);
  CHECK(b.mean == 22);
  CHECK(b.standard_deviation == Approx(std::sqrt((19 * 19 + 21 * 21 + 18 * 18 + 20 * 20 + 78 * 78) / 4.0)));
  CHECK(b.median == 3);
  CHECK(b.median_absolute_deviation == 1);
  CHECK(b.minimum == 1);
  CHECK(b.maximum == 100);
  CHECK(b.percentile_5 == Approx(1.2));  // numpy.percentile
  CHECK(b.percentile_95 == Approx(80.8));
}

TEST_CASE("one value, and none") {
  BaselineBuilder one(100), none(100);
  one.Add(std::vector<double>{7});
  Baseline b;
  REQUIRE(one.Finish(&b).ok());
  CHECK(b.standard_deviation == 0);
  CHECK(b.percentile_95 == 7);
  none.Add(std::vector<double>{NAN});
  CHECK(absl::IsFailedPrecondition(none.Finish(&b)));
}

TEST_CASE("the deviation survives a large offset") {
  BaselineBuilder builder(100);
  builder.Add(std::vector<double>{1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16});
  Baseline b;
  REQUIRE(builder.Finish(&b).ok());
  CHECK(b.standard_deviation == Approx(std::sqrt(30.0)).epsilon(1e-12));
}

TEST_CASE("beyond the limit quantiles come from a sample, the rest stays exact") {
  BaselineBuilder builder(10'000);
  Rng rng(5);
  std::vector<double> values(200'000);
  for (double& v : values) v = rng.Normal();
  builder.Add(values);
  Baseline b;
  REQUIRE(builder.Finish(&b).ok());
  CHECK(b.count == 200'000);
  CHECK(b.minimum == *std::min_element(values.begin(), values.end()));
  CHECK(b.median == Approx(0).margin(0.06));
  CHECK(b.percentile_95 == Approx(1.645).margin(0.1));
}

}  // namespace
}  // namespace vedette::feature_engine
