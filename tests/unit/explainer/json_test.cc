#include "services/explainer/adapters/json.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace vedette::explainer {

TEST_CASE("numbers that JSON has no words for are left out, and whatever a text holds can be kept") {
  explain::Contribution c;
  c.feature_name = std::string("a\0b\xff", 4);
  c.contribution = std::numeric_limits<double>::infinity();
  c.actual = std::numeric_limits<double>::quiet_NaN();
  c.share = 0.5;
  const auto back = ContributionsFromJson(ContributionsToJson({c}));
  REQUIRE(back.size() == 1);
  CHECK(back[0].feature_name == "ab\xef\xbf\xbd");
  CHECK(back[0].contribution == 0);
  CHECK(std::isnan(back[0].actual));
  CHECK(std::isnan(back[0].percentile));
  CHECK(back[0].share == 0.5);
  CHECK(back[0].lag == 0);
  c.lag = 7;
  CHECK(ContributionsFromJson(ContributionsToJson({c}))[0].lag == 7);
  CHECK(ContributionsFromJson("[{\"feature\": \"a\", \"lag\": -3}]")[0].lag == 0);
  CHECK(ContributionsFromJson("[{\"feature\": \"a\", \"lag\": 1e300}]")[0].lag == 1000);
  CHECK(ContributionsFromJson("[{\"feature\": \"a\", \"lag\": \"x\"}]")[0].lag == 0);
}

TEST_CASE("details and counterfactuals come back as they went in") {
  StoredExplanation e;
  e.explained = "anomaly score";
  e.background = "bg-1";
  e.background_rows = 100;
  e.expected = 0.25;
  e.r2 = 0.4;
  e.warnings = {"careful"};
  StoredExplanation back;
  DetailsFromJson(DetailsToJson(e), &back);
  CHECK(back.explained == e.explained);
  CHECK(back.background == e.background);
  CHECK(back.background_rows == 100);
  CHECK(back.expected == e.expected);
  CHECK_FALSE(back.output);
  CHECK(back.r2 == e.r2);
  CHECK(back.warnings == e.warnings);
  const WordedCounterfactual c{.found = true,
                               .already_normal = false,
                               .minimal = true,
                               .changes = {{"price", "940", ""}},
                               .score = 1,
                               .threshold = 2,
                               .frozen = {"day"}};
  const auto again = CounterfactualFromJson(CounterfactualToJson(c));
  REQUIRE(again);
  CHECK(again->found);
  CHECK(again->minimal);
  REQUIRE(again->changes.size() == 1);
  CHECK(again->changes[0].from == "940");
  CHECK(again->frozen == c.frozen);
  CHECK(SignatureFromJson(SignatureToJson({{"price", -0.5}})) == Signature{{"price", -0.5}});
}

TEST_CASE("damaged JSON is nothing") {
  for (const char* text :
       {"", "null", "{", "[1, {\"feature\": 3, \"numeric\": \"x\"}, null]", "{\"changes\": \"x\", \"expected\": \"x\"}"}) {
    CAPTURE(text);
    CHECK(ContributionsFromJson(text).size() <= 1);
    StoredExplanation e;
    DetailsFromJson(text, &e);
    CHECK_FALSE(e.expected);
    (void)CounterfactualFromJson(text);
    CHECK(SignatureFromJson(text).empty());
  }
}

}  // namespace vedette::explainer
