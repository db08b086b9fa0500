#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/ids.h"
#include "base/status.h"
#include "services/explainer/adapters/pg_explanation_store.h"
#include "services/explainer/core/ask.h"
#include "services/explainer/core/explainer.h"
#include "services/explainer/core/similar.h"
#include "support/support.h"

namespace vedette::explainer {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Fixture {
  testing::ServiceDatabase db =
      testing::NewServiceDatabase("explainer", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)});
  PgExplanationStore store{db.pool.get()};

  /// A finding whose price (and colour) is off, stored with its native explanation.
  Finding Store(const std::string& name, int64_t row, double price = 940, const std::string& algorithm = "knn",
                int64_t second = 0) {
    Finding f;
    f.anomaly_id = DerivedUuid(name);
    f.model = "models/m";
    f.algorithm = algorithm;
    f.dataset = "datasets/d";
    f.row_index = row;
    f.entity = "entities/shop";
    f.score = {
        .score = 2, .probability = 0.5, .confidence = 0.25, .anomaly = true, .severity = outlier::Severity::kHigh};
    f.threshold = 1;
    f.detect_time = absl::FromUnixSeconds(1'700'000'000 + second);
    f.event_time = absl::FromUnixSeconds(1'600'000'000);
    const StoredExplanation native = FromContributions(&f, "score", {Price(price), Colour()});
    REQUIRE(store.Write("acme", {f}, {native}).ok());
    return f;
  }
  static outlier::FeatureContribution Price(double value) {
    return {.feature = "price",
            .contribution = 3,
            .share = 0.75,
            .actual = value,
            .expected = 12,
            .actual_text = fmt::format("{}", value),
            .expected_text = "12",
            .percentile = 99.5};
  }
  static outlier::FeatureContribution Colour() {
    return {.feature = "colour",
            .contribution = 1,
            .share = 0.25,
            .actual = kNone,
            .expected = kNone,
            .actual_text = "gr\xff\n",
            .expected_text = std::string("re\0d", 4)};
  }
};

}  // namespace

TEST_CASE("the rows of a series that are anomalous, up to a finding's time") {
  Fixture f;
  const auto store = [&](int64_t row, const std::function<void(Finding&)>& change = nullptr) {
    Finding finding = f.Store(fmt::format("first {}", row), row);  // at the same time, all of them
    finding.anomaly_id = DerivedUuid(fmt::format("series {}", row));
    finding.dataset = "datasets/series";
    finding.row_index = row;
    finding.event_time = absl::FromUnixSeconds(1'600'000'000 + 3600 * row);
    if (change) change(finding);
    REQUIRE(f.store.Write("acme", {finding}, {}).ok());
    return finding;
  };
  for (const int64_t row : {3, 5, 6, 9}) store(row);
  store(20, [](Finding& x) { x.event_time = absl::FromUnixSeconds(1), x.entity = "entities/other"; });
  store(21, [](Finding& x) { x.event_time = absl::FromUnixSeconds(1), x.model = "models/other"; });
  store(22, [](Finding& x) { x.event_time = absl::FromUnixSeconds(1), x.metric = "metrics/price"; });
  store(23, [](Finding& x) { x.event_time = absl::InfinitePast(); });
  const Finding asked = store(7);
  const auto rows = f.store.OddRows("acme", asked);
  INFO(rows.status());
  REQUIRE(rows.ok());
  CHECK(*rows == std::set<int64_t>{3, 5, 6, 7});
  CHECK(f.store.OddRows("other", asked)->empty());
}

TEST_CASE("sides and what is left out come back as they went in") {
  Fixture f;
  Finding finding = f.Store("a", 12);
  finding.anomaly_id = DerivedUuid("b");
  outlier::FeatureContribution price = Fixture::Price(940);
  price.share = 0.5;
  price.high = 2.75;
  price.low = 0.25;
  const StoredExplanation native = FromContributions(&finding, "score", {price}, 7);
  REQUIRE(f.store.Write("acme", {finding}, {native}).ok());
  const auto all = f.store.List("acme", finding.anomaly_id);
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  const explain::Explanation& e = all->front().explanation;
  CHECK(e.features_left_out == 6);
  CHECK(e.contributions[0].share == 0.5);
  CHECK(e.contributions[0].high == 2.75);
  CHECK(e.contributions[0].low == 0.25);
  CHECK_THAT(e.text, Catch::Contains("50% of the deviation, 92% of it from above, the rest from below"));
}

TEST_CASE("an explanation comes back as it went in, once, and only for its tenant") {
  Fixture f;
  Finding finding = f.Store("a", 12);
  const StoredExplanation native = FromContributions(&finding, "score", {Fixture::Price(940), Fixture::Colour()});
  REQUIRE(f.store.Write("acme", {finding}, {native}).ok());  // again
  auto all = f.store.List("acme", finding.anomaly_id);
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  const auto& e = all->front();
  CHECK(e.id == native.id);
  CHECK(e.anomaly_id == finding.anomaly_id);
  CHECK(e.explanation.text == native.explanation.text);
  REQUIRE(e.explanation.contributions.size() == 2);
  CHECK(e.explanation.contributions[0].actual == 940);
  CHECK(e.explanation.contributions[0].percentile == 99.5);
  CHECK(std::isnan(e.explanation.contributions[1].actual));
  CHECK(e.explanation.contributions[1].expected_text == "red");
  CHECK(e.explanation.contributions[1].direction == native.explanation.contributions[1].direction);
  CHECK(f.store.List("other", finding.anomaly_id)->empty());

  const auto found = f.store.FindFinding("acme", finding.anomaly_id);
  REQUIRE(found.ok());
  REQUIRE(found->has_value());
  CHECK((*found)->row_index == 12);
  CHECK((*found)->entity == "entities/shop");
  CHECK((*found)->score.severity == outlier::Severity::kHigh);
  CHECK((*found)->detect_time == finding.detect_time);
  CHECK((*found)->event_time == finding.event_time);
  CHECK((*found)->signature == finding.signature);
  CHECK_FALSE(f.store.FindFinding("other", finding.anomaly_id)->has_value());
  CHECK_FALSE(f.store.FindFinding("acme", DerivedUuid("nobody"))->has_value());
}

TEST_CASE("a method's numbers with its configuration, found again by model, row, method and configuration") {
  Fixture f;
  const Finding finding = f.Store("a", 12);
  StoredExplanation made;
  made.anomaly_id = finding.anomaly_id;
  made.model = finding.model;
  made.explanation.method = "lime";
  made.mode = "around_row";
  made.config = R"({"background_rows":100,"mode":"around_row"})";
  made.id = ExplanationId(made.anomaly_id, "lime", made.model, made.config);
  made.row_hash = "abc";
  made.explained = "local linear model";
  made.background = "bg-1";
  made.background_rows = 100;
  made.expected = 0.5;
  made.output = 1.5;
  made.additivity_error = 1e-12;
  made.r2 = 0.25;
  made.warnings = {"R^2 is low"};
  made.counterfactual = WordedCounterfactual{.found = true,
                                             .already_normal = false,
                                             .minimal = true,
                                             .changes = {{"price", "940", "12"}},
                                             .score = 0.5,
                                             .threshold = 1,
                                             .frozen = {"day"}};
  REQUIRE(f.store.Write("acme", {}, {made}).ok());
  const auto equal = f.store.FindEqual("acme", made);
  REQUIRE(equal.ok());
  REQUIRE(equal->has_value());
  const StoredExplanation& back = **equal;
  CHECK(back.id == made.id);
  CHECK(back.mode == made.mode);
  CHECK(back.explained == made.explained);
  CHECK(back.background == made.background);
  CHECK(back.background_rows == 100);
  CHECK(back.expected == made.expected);
  CHECK(back.output == made.output);
  CHECK(back.additivity_error == made.additivity_error);
  CHECK(back.r2 == made.r2);
  CHECK(back.warnings == made.warnings);
  REQUIRE(back.counterfactual);
  CHECK(back.counterfactual->changes[0].to == "12");
  CHECK(back.counterfactual->minimal);
  for (const auto change :
       {+[](StoredExplanation& e) { e.row_hash = "abd"; }, +[](StoredExplanation& e) { e.config = "{}"; },
        +[](StoredExplanation& e) { e.model = "models/n"; },
        +[](StoredExplanation& e) { e.explanation.method = "exact"; },
        +[](StoredExplanation& e) { e.row_hash.clear(); }}) {
    StoredExplanation other = made;
    change(other);
    CHECK_FALSE(f.store.FindEqual("acme", other)->has_value());
  }
  CHECK_FALSE(f.store.FindEqual("other", made)->has_value());

  made.explanation.text = "In other words.";
  made.text_source = "llm";
  REQUIRE(f.store.SetText("other", made).ok());
  CHECK(f.store.List("acme", finding.anomaly_id)->back().text_source == "template");
  REQUIRE(f.store.SetText("acme", made).ok());
  CHECK(f.store.List("acme", finding.anomaly_id)->back().explanation.text == "In other words.");
  CHECK(f.store.List("acme", finding.anomaly_id)->back().text_source == "llm");
}

TEST_CASE("candidates share algorithm and a driver, and bring the last word of a person") {
  Fixture f;
  const Finding finding = f.Store("a", 12);
  f.Store("twin", 12);  // the same row again: no other incident
  const Finding high = f.Store("high", 13, 900, "knn", 1), low = f.Store("low", 14, 1, "knn", 2);
  f.Store("another algorithm", 15, 900, "iforest");
  Finding elsewhere = f.Store("elsewhere", 16);
  elsewhere.anomaly_id = DerivedUuid("no driver in common");
  elsewhere.row_index = 17;
  elsewhere.signature = {{"weight", 1}};
  REQUIRE(f.store.Write("acme", {elsewhere}, {}).ok());
  const Outcome confirmed{.anomaly_id = high.anomaly_id,
                          .verdict = "CONFIRMED",
                          .confidence = 0.5,
                          .feedback = "f1",
                          .time = absl::FromUnixSeconds(10)};
  const Outcome alarm{.anomaly_id = high.anomaly_id,
                      .verdict = "FALSE_ALARM",
                      .confidence = 1,
                      .feedback = "f2",
                      .time = absl::FromUnixSeconds(20)};
  REQUIRE(f.store.SetOutcome("acme", alarm).ok());
  REQUIRE(f.store.SetOutcome("acme", confirmed).ok());  // older, and late
  REQUIRE(f.store.SetOutcome("acme", alarm).ok());      // again
  const auto candidates = f.store.Candidates("acme", finding);
  REQUIRE(candidates.ok());
  std::map<std::string, std::string> outcomes;
  for (const auto& c : *candidates) outcomes[c.finding.anomaly_id] = c.outcome;
  CHECK(outcomes == std::map<std::string, std::string>{
                        {high.anomaly_id, "FALSE_ALARM"}, {low.anomaly_id, ""}, {DerivedUuid("elsewhere"), ""}});
  CHECK(candidates->size() == 3);
  CHECK(f.store.Candidates("other", finding)->empty());
  // Too low a price is another story than too high a one; both know the colour.
  const auto nearest = NearestOf(finding, *candidates, 10);
  REQUIRE(nearest.size() == 2);
  CHECK(nearest[0].finding.anomaly_id == high.anomaly_id);
  CHECK(nearest[0].outcome == "FALSE_ALARM");
}

}  // namespace vedette::explainer
