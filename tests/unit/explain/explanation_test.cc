#include "explain/explanation.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace vedette::explain {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

outlier::FeatureContribution Feature(std::string name, double contribution, double actual, double expected) {
  outlier::FeatureContribution f;
  f.feature = std::move(name);
  f.contribution = contribution;
  f.actual = actual;
  f.expected = expected;
  f.actual_text = std::isnan(actual) ? "" : fmt::format("{}", actual);
  f.expected_text = fmt::format("{}", expected);
  return f;
}

outlier::FeatureContribution Category(std::string name, double contribution, std::string actual, std::string expected) {
  outlier::FeatureContribution f;
  f.feature = std::move(name);
  f.contribution = contribution;
  f.actual = f.expected = kNaN;
  f.actual_text = std::move(actual);
  f.expected_text = std::move(expected);
  return f;
}

Request Odd(std::vector<outlier::FeatureContribution> features) {
  Request r;
  r.subject = "Row 12";
  r.score = {0.71, 0.98, 0.9, true, outlier::Severity::kHigh};
  r.threshold = 0.55;
  r.space = "score";
  r.features = std::move(features);
  return r;
}

std::string Phrase(outlier::FeatureContribution f) {
  return ShortPhrase(Explain(Odd({std::move(f)})).contributions[0]);
}

}  // namespace

TEST_CASE("contributions are sorted, shared out and given a direction") {
  const auto e = Explain(Odd({Feature("price", 1, 0.1, 5), Feature("units", 6, 940, 12), Feature("day", -1, 3, 3),
                              Feature("stock", 1, kNaN, 4)}));
  REQUIRE(e.contributions.size() == 4);
  CHECK(e.contributions[0].feature_name == "units");
  CHECK(e.contributions[0].share == Approx(0.75));
  CHECK(e.contributions[0].direction == Direction::kHigh);
  CHECK(e.contributions[1].feature_name == "price");
  CHECK(e.contributions[1].direction == Direction::kLow);
  CHECK(e.contributions[2].direction == Direction::kMissing);
  CHECK(e.contributions[3].direction == Direction::kUsual);
  CHECK(e.contributions[3].share == 0);
  CHECK_FALSE(e.no_single_driver);
}

TEST_CASE("the text says severity, what, how far, against what, and what to check first") {
  const auto e = Explain(Odd({Feature("units_sold", 7, 940, 12), Feature("price", 3, 0.1, 5)}));
  CHECK(
      e.text ==
      "Row 12 is anomalous: high severity, probability 98%, score 0.71 against a threshold of 0.55. units_sold is 940, "
      "about 78.3 times the expected 12 (70% of the deviation). price is 0.1, 98% below the expected 5 (30% of the "
      "deviation). Check units_sold first, then price.");
}

TEST_CASE("features that hardly matter are not named beside a driver") {
  const auto e = Explain(Odd({Feature("a", 9, 10, 1), Feature("b", 0.5, 2, 1), Feature("c", 0.5, 2, 1)}));
  CHECK(e.text.find("b is") == std::string::npos);
  CHECK(e.text.find("Check a first.") != std::string::npos);
}

TEST_CASE("no single driver when the shares are even or there is none") {
  std::vector<outlier::FeatureContribution> even;
  for (int i = 0; i < 12; ++i) even.push_back(Feature("f" + std::to_string(i), 1, i, 0.5));
  const auto e = Explain(Odd(even));
  CHECK(e.no_single_driver);
  CHECK(e.text.find("No single driver") != std::string::npos);
  CHECK(e.text.find("Check f0, f1 and f2 together.") != std::string::npos);

  const auto zero = Explain(Odd({Feature("a", 0, 1, 1), Feature("b", kNaN, 1, 1), Feature("c", -1, 1, 1)}));
  CHECK(zero.no_single_driver);
  CHECK(zero.text.find("No feature stands out.") != std::string::npos);
  for (const auto& c : zero.contributions) CHECK(c.share == 0);
  CHECK(Explain(Odd({})).no_single_driver);
}

TEST_CASE("windows: what a feature does at all lags together makes it the driver") {
  std::vector<outlier::FeatureContribution> parts = {Feature("a", 0.14, 5, 1)};
  for (int lag = 0; lag < 6; ++lag) {
    parts.push_back(Feature("b", 0.12, 7, 2));
    parts.back().lag = lag;
  }
  parts.push_back(Feature("c", 0.14, 1, 0));
  const Explanation e = Explain(Odd(parts));
  CHECK(SharesByFeature(e.contributions)[0].feature == "b");
  CHECK_FALSE(e.no_single_driver);
  CHECK_THAT(e.text, Catch::Contains("72% over 6 rows") && Catch::Contains("Check b first"));
}

TEST_CASE("a row that is not anomalous is said to be so") {
  auto r = Odd({Feature("a", 1, 2, 1)});
  r.score.anomaly = false;
  r.score.score = 0.4;
  const auto e = Explain(r);
  CHECK(e.text.starts_with("Row 12 is not anomalous: its score 0.4 does not exceed the threshold 0.55."));
  CHECK(e.text.find("Check") == std::string::npos);
}

TEST_CASE("short phrases") {
  CHECK(Phrase(Feature("units_sold", 1, 940, 12.3)) == "units_sold 940, expected about 12");
  CHECK(Phrase(Feature("price", 1, kNaN, 4.2)) == "price missing, expected about 4.2");
  CHECK(Phrase(Feature("rent", 1, 1234567, 1200)) == "rent 1,234,567, expected about 1,200");
  CHECK(Phrase(Feature("r", 1, 0.3, 0.1 + 0.2 - 1e-17)) == "r 0.3 (usual by itself)");
  CHECK(Phrase(Category("colour", 1, "green", "red")) == "colour green, expected red");
  CHECK(Phrase(Category("colour", 1, "red", "red")) == "colour red (usual by itself)");
  CHECK(Phrase(Feature("day", 1, 3, 3)) == "day 3 (usual by itself)");
  CHECK(Phrase(Category("colour", 1, "", "red")) == "colour missing, expected red");
  CHECK(Phrase(Feature("x\033[2J", 1, 1, 0.5)) == "x [2J 1, expected about 0.5");
}

TEST_CASE("close values are shown with enough digits to tell them apart") {
  const auto e = Explain(Odd({Feature("ratio", 1, 1.2344, 1.2345)}));
  CHECK(ActualWords(e.contributions[0]) == "1.2344");
  CHECK(ExpectedWords(e.contributions[0]) != "1.2344");
}

TEST_CASE("how far, in words that fit the numbers") {
  const auto text = [](double actual, double expected) {
    return Explain(Odd({Feature("x", 1, actual, expected)})).text;
  };
  CHECK(text(112, 100).find("12% above the expected 100") != std::string::npos);
  CHECK(text(-50, -10).find("about 5 times the expected -10") != std::string::npos);
  CHECK(text(-12, -10).find("20% below the expected -10") != std::string::npos);
  CHECK(text(-3, 10).find("below the expected 10") != std::string::npos);
  CHECK(text(5, 0).find("above the expected 0") != std::string::npos);
  CHECK(text(0, 5).find("below the expected 5") != std::string::npos);
  CHECK(text(100.5, 100).find("close to the expected 100") != std::string::npos);
  CHECK(text(0.001, 5).find("far below the expected 5") != std::string::npos);
}

TEST_CASE("features that are left out keep their part of the deviation, and count where noise is judged") {
  Request r = Odd({Feature("units", 6, 940, 12), Feature("price", 2, 0.1, 5)});
  r.features_left_out = 98;
  r.share_left_out = 0.2;
  const auto e = Explain(r);
  CHECK(e.contributions[0].share == Approx(0.6));
  CHECK(e.contributions[1].share == Approx(0.2));
  CHECK(e.features_left_out == 98);
  CHECK_FALSE(e.no_single_driver);
  CHECK(e.text.find("60% of the deviation") != std::string::npos);
  r.share_left_out = 0.9;
  CHECK(Explain(r).no_single_driver);
}

TEST_CASE("where above and below are told apart, the text says from which side; another method's sides are none") {
  outlier::FeatureContribution f = Feature("units", 4, 940, 12);
  f.high = 4;
  f.low = 0;
  CHECK(Explain(Odd({f})).text.find("(100% of the deviation, from above).") != std::string::npos);
  std::swap(f.high, f.low);
  CHECK(Explain(Odd({f})).text.find("(100% of the deviation, from below).") != std::string::npos);
  f.high = 3;
  f.low = 1;
  const auto both = Explain(Odd({f}));
  CHECK(both.text.find("(100% of the deviation, 75% of it from above, the rest from below).") != std::string::npos);
  CHECK(both.contributions[0].high == 3);
  CHECK(both.contributions[0].low == 1);
  f.contribution = 2;  // as Shapley values put in its place
  const auto other = Explain(Odd({f}));
  CHECK(std::isnan(other.contributions[0].high));
  CHECK(other.text.find("(100% of the deviation).") != std::string::npos);
}

TEST_CASE("huge contributions have shares all the same") {
  const auto e = Explain(Odd({Feature("a", 1e308, 2, 1), Feature("b", 1e308, 2, 1)}));
  CHECK(e.contributions[0].share == Approx(0.5));
  CHECK(e.contributions[1].share == Approx(0.5));
}

}  // namespace vedette::explain
