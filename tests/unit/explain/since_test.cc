#include "explain/since.h"

#include <catch2/catch.hpp>
#include <limits>
#include <set>

#include "explain/explanation.h"

namespace vedette::explain {
namespace {

constexpr double kHour = 3600;
/// 2024-03-09, 00:00 UTC.
constexpr double kStart = 1709942400;

/// Two shops by turns, one reading each an hour; rows 0, 2, 4... are the first one's.
Timeline TwoShops(int64_t hours) {
  Timeline t(true);
  for (int64_t h = 0; h < hours; ++h) {
    t.Add(2 * h, "shop-1", "", kStart + kHour * static_cast<double>(h));
    t.Add(2 * h + 1, "shop-2", "", kStart + kHour * static_cast<double>(h));
  }
  t.Finish();
  return t;
}

std::optional<OffSince> Since(const Timeline& t, int64_t row, const std::set<int64_t>& odd) {
  return t.Since(row, [&](int64_t r) { return odd.contains(r); });
}

absl::Time Hour(double h) { return absl::FromUnixSeconds(static_cast<int64_t>(kStart + kHour * h)); }

}  // namespace

TEST_CASE("a run goes back to the last normal reading of its own entity") {
  const Timeline t = TwoShops(10);
  // Hours 3, 4 and 5 of the first shop; the other one's row between them is normal, and does not matter.
  const auto run = Since(t, 10, {6, 8, 10, 2, 14});
  REQUIRE(run);
  CHECK(run->who == "shop-1");
  CHECK(run->start == Hour(3));
  CHECK(run->readings == 3);
  CHECK(run->last_normal == Hour(2));
  // Later anomalies do not change since when; the row itself need not be among those that are known.
  const auto alone = Since(t, 15, {17, 14});
  REQUIRE(alone);
  CHECK(alone->who == "shop-2");
  CHECK(alone->start == Hour(7));
  CHECK(alone->readings == 1);
  CHECK(alone->last_normal == Hour(6));
  const auto first = Since(t, 2, {0, 2});
  REQUIRE(first);
  CHECK(first->start == Hour(0));
  CHECK(first->readings == 2);
  CHECK(first->last_normal == absl::InfinitePast());
}

TEST_CASE("rows may come in any order; a point in time is off when one of its rows is") {
  Timeline t(true);
  t.Add(0, "a", "units", kStart + 2 * kHour);
  t.Add(1, "a", "units", kStart);
  t.Add(2, "a", "units", kStart + kHour);
  t.Add(3, "a", "units", kStart + kHour);
  t.Add(4, "a", "price", kStart + kHour);
  t.Add(5, "a", "units", std::numeric_limits<double>::quiet_NaN());
  t.Add(6, "", "", kStart);
  t.Finish();
  const auto run = Since(t, 0, {3});
  REQUIRE(run);
  CHECK(run->who == "a (units)");
  CHECK(run->start == Hour(1));
  CHECK(run->readings == 2);
  CHECK(run->last_normal == Hour(0));
  CHECK_FALSE(Since(t, 5, {}));  // without a time
  CHECK_FALSE(Since(t, 6, {}));  // of no entity, where others name one
  CHECK_FALSE(Since(t, 7, {}));  // of no table
  CHECK_FALSE(Since(t, -1, {}));
}

TEST_CASE("rows without entities are a series only if no two have the same time") {
  Timeline one(false), two(false);
  for (int64_t i = 0; i < 5; ++i) {
    one.Add(i, "", "", kStart + static_cast<double>(i));
    two.Add(i, "", "", kStart + static_cast<double>(i / 2));
  }
  one.Finish();
  two.Finish();
  const auto run = Since(one, 3, {2, 3});
  REQUIRE(run);
  CHECK(run->who.empty());
  CHECK(run->readings == 2);
  CHECK_FALSE(Since(two, 3, {2, 3}));
}

TEST_CASE("the sentence says who, since when, how often, and what came before") {
  OffSince since{.who = "shop-1", .start = Hour(5), .readings = 3, .last_normal = Hour(0)};
  CHECK(SinceSentence(since) ==
        "shop-1 has been off since 2024-03-09 05:00 UTC, 3 readings in a row; the last normal one was of 2024-03-09.");
  since.readings = 1;
  CHECK(SinceSentence(since) ==
        "shop-1 has been off since 2024-03-09 05:00 UTC: the reading before, of 2024-03-09, was normal.");
  since.last_normal = absl::InfinitePast();
  CHECK(SinceSentence(since) == "shop-1 has been off since 2024-03-09 05:00 UTC, its first reading.");
  since.readings = 1234;
  since.start += absl::Seconds(7);
  CHECK(SinceSentence(since) ==
        "shop-1 has been off since 2024-03-09 05:00:07 UTC, its first reading (1,234 in a row).");
  CHECK(SinceSentence({.who = "", .start = Hour(24), .readings = 2, .last_normal = Hour(23)}) ==
        "The table has been off since 2024-03-10, 2 rows in a row; the last normal one was of 2024-03-09 23:00 UTC.");
  CHECK(SinceSentence({.who = "a\nb", .start = Hour(24), .readings = 1}) ==
        "a b has been off since 2024-03-10, its first reading.");
}

TEST_CASE("the text says since when after how far, and before what to check; only where it is known") {
  Request r;
  r.subject = "Row 12";
  r.score = {0.71, 0.98, 0.9, true, outlier::Severity::kHigh};
  r.threshold = 0.55;
  outlier::FeatureContribution f;
  f.feature = "units_sold";
  f.contribution = 7;
  f.actual = 940;
  f.expected = 12;
  f.actual_text = "940";
  f.expected_text = "12";
  r.features = {f};
  const std::string without = Explain(r).text;
  CHECK(without.find("since") == std::string::npos);
  r.since = OffSince{.who = "shop-1", .start = Hour(5), .readings = 1, .last_normal = Hour(4)};
  CHECK(
      Explain(r).text ==
      "Row 12 is anomalous: high severity, probability 98%, score 0.71 against a threshold of 0.55. units_sold is 940, "
      "about 78.3 times the expected 12 (100% of the deviation). shop-1 has been off since 2024-03-09 05:00 UTC: the "
      "reading before, of 2024-03-09 04:00 UTC, was normal. Check units_sold first.");
  r.features[0].contribution = 0;
  CHECK(Explain(r).text.ends_with("No feature stands out. " + SinceSentence(*r.since)));
  r.score.anomaly = false;
  CHECK(Explain(r).text.find("since") == std::string::npos);
}

}  // namespace vedette::explain
