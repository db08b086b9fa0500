#include <catch2/catch.hpp>

#include "base/ids.h"
#include "services/triage/adapters/pg_anomaly_store.h"
#include "support/support.h"

namespace vedette::triage {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

struct Fixture {
  testing::ServiceDatabase db =
      testing::NewServiceDatabase("triage", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)});
  PgAnomalyStore store{db.pool.get(), [] {}};

  explicit Fixture(int count) {
    TaskResult result{.job = "jobs/j", .task = "jobs/j/tasks/1", .rows_scored = 100};
    for (int i = 0; i < count; ++i) {
      Anomaly a;
      a.id = DerivedUuid(std::to_string(i));
      a.job = "jobs/j";
      a.row_index = i;
      a.features = {{.name = "price", .contribution = 1.0 + i, .share = 1, .actual = "940", .actual_number = 940}};
      a.detection_methods = {i == 3 ? "knn" : "iforest"};
      a.model = "models/m";
      a.detect_time = absl::FromUnixSeconds(1'700'000'000);
      result.anomalies.push_back(std::move(a));
    }
    REQUIRE(store.Store("acme", result).ok());
  }
  Anomaly Get(int i) {
    const auto a = store.Get("acme", DerivedUuid(std::to_string(i)));
    REQUIRE(a.ok());
    return *a;
  }
  void Judge(int i, Verdict verdict, const std::string& tenant = "acme") {
    REQUIRE(store.AddFeedback(tenant, DerivedUuid(std::to_string(i)), {.verdict = verdict, .author = "ann"}, "").ok());
  }
};

}  // namespace

TEST_CASE("a second opinion is kept as it was given, changes nothing else, and gives way only to another one") {
  Fixture f(2);
  const std::string id = DerivedUuid("0");
  CHECK_FALSE(f.Get(0).verdict.has_value());
  const TriageVerdict none{
      .next_checks = {"look"}, .degraded_reason = "timeout", .create_time = absl::FromUnixMicros(1)};
  REQUIRE(f.store.SetVerdict("acme", id, none).ok());
  CHECK(f.Get(0).verdict->degraded_reason == "timeout");
  const TriageVerdict given{.opinion = Opinion::kLikelyFalse,
                            .confidence = 0.625,
                            .reason = "a \"quote\", \xff and a\tb",
                            .next_checks = {"one", "two"},
                            .source = "llm",
                            .create_time = absl::FromUnixMicros(1'700'000'000'123'456)};
  REQUIRE(f.store.SetVerdict("acme", id, given).ok());
  REQUIRE(f.store.SetVerdict("acme", id, none).ok());
  const Anomaly a = f.Get(0);
  REQUIRE(a.verdict.has_value());
  CHECK(a.verdict->opinion == Opinion::kLikelyFalse);
  CHECK(a.verdict->confidence == 0.625);
  CHECK_THAT(a.verdict->reason, Catch::Contains("a \"quote\", "));
  CHECK(a.verdict->next_checks == given.next_checks);
  CHECK(a.verdict->source == "llm");
  CHECK(a.verdict->create_time == given.create_time);
  CHECK(a.status == Status::kOpen);
  CHECK(a.severity == 1);
  CHECK_FALSE(f.Get(1).verdict.has_value());
  REQUIRE(f.store.SetVerdict("other", DerivedUuid("1"), given).ok());
  CHECK_FALSE(f.Get(1).verdict.has_value());
  const auto page =
      f.store.List("acme", {.where = "triage_verdict->>'opinion' = 'LIKELY_FALSE'", .order = {{"row_index", false}}});
  REQUIRE(page.ok());
  CHECK(page->anomalies.size() == 1);
}

TEST_CASE("judged anomalies: others, by the same method, with the last word on each") {
  Fixture f(5);
  f.Judge(0, Verdict::kConfirmed);
  f.Judge(1, Verdict::kFalseAlarm);
  f.Judge(1, Verdict::kConfirmed);
  f.Judge(2, Verdict::kFalseAlarm);
  f.Judge(3, Verdict::kFalseAlarm);
  const auto judged = f.store.ListJudged("acme", f.Get(0));
  REQUIRE(judged.ok());
  REQUIRE(judged->size() == 2);
  int confirmed = 0;
  for (const Judged& j : *judged) {
    confirmed += j.verdict == Verdict::kConfirmed;
    CHECK(j.features.at(0).contribution == (j.verdict == Verdict::kConfirmed ? 2 : 3));
  }
  CHECK(confirmed == 1);
  CHECK(f.store.ListJudged("other", f.Get(0))->empty());
}

}  // namespace vedette::triage
