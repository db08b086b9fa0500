#include <catch2/catch.hpp>

#include "base/ids.h"
#include "services/triage/adapters/pg_anomaly_store.h"
#include "storage/transaction.h"
#include "support/support.h"

namespace vedette::triage {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

struct Fixture {
  testing::ServiceDatabase db = testing::NewServiceDatabase("triage", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)});
  int woken = 0;
  PgAnomalyStore store{db.pool.get(), [this] { ++woken; }};

  int64_t Outbox(const std::string& tenant, const std::string& subject = "facts.anomaly.stored") {
    int64_t n = -1;
    REQUIRE(storage::InTenant(*db.pool, tenant, [&](storage::Tx& tx) -> absl::Status {
      auto rows = tx.Exec("select count(*) as n from outbox where subject = $1", {subject});
      if (!rows.ok()) return rows.status();
      n = (*rows)[0].Int64("n");
      return absl::OkStatus();
    }).ok());
    return n;
  }
};

Anomaly Make(int64_t row, double score, int severity = 2) {
  Anomaly a;
  a.id = DerivedUuid(std::to_string(row));
  a.job = "jobs/j";
  a.dataset = "datasets/d";
  a.row_index = row;
  a.score = score;
  a.probability = 0.5;
  a.confidence = 0.9;
  a.severity = severity;
  a.features = {{.name = "colour", .lag = 3, .contribution = 2, .share = 0.6, .actual = "gr\xffn\tx", .expected = "red"},
                {.name = "price", .contribution = 1, .share = 0.4, .actual = "940", .actual_number = 940, .expected = "12", .expected_number = 12}};
  a.summary = "Row is odd.";
  a.detection_methods = {"iforest", "with \"quote\", comma"};
  a.model = "models/m";
  a.raw_data = {{"colour", std::string("a\0b", 3)}, {"note", "line\nbreak \\ tab\t"}};
  a.metadata = R"({"space":"score"})";
  a.detect_time = absl::FromUnixSeconds(1'700'000'000);
  return a;
}

TaskResult Result(std::vector<Anomaly> anomalies, int part = 0, int parts = 1) {
  return {.job = "jobs/j", .task = "jobs/j/tasks/1", .part = part, .part_count = parts, .rows_scored = 100, .anomalies = std::move(anomalies)};
}

}  // namespace

TEST_CASE("an anomaly comes back as it went in, whatever its cells hold") {
  Fixture f;
  REQUIRE(f.store.Store("acme", Result({Make(7, 1.5)})).ok());
  const auto a = f.store.Get("acme", DerivedUuid("7"));
  REQUIRE(a.ok());
  CHECK(a->row_index == 7);
  CHECK(a->score == 1.5);
  CHECK(a->raw_data.at("note") == "line\nbreak \\ tab\t");
  CHECK(a->raw_data.at("colour") == "ab");
  CHECK(a->features.at(1).actual_number == 940);
  CHECK(a->features.at(0).lag == 3);
  CHECK(a->features.at(1).lag == 0);
  CHECK_FALSE(a->features.at(0).actual_number.has_value());
  CHECK(a->ActualValue() == 940);
  CHECK(a->ExpectedValue() == 12);
  CHECK(a->detection_methods.at(1) == "with \"quote\", comma");
  CHECK(a->status == Status::kOpen);
  CHECK(absl::IsNotFound(f.store.Get("other", DerivedUuid("7")).status()));
}

TEST_CASE("a task counts as stored when all its parts are there, once, however often they come") {
  Fixture f;
  REQUIRE(f.store.Store("acme", Result({Make(1, 1)}, 0, 2)).ok());
  CHECK(f.Outbox("acme") == 0);
  REQUIRE(f.store.Store("acme", Result({Make(1, 1)}, 0, 2)).ok());
  CHECK(f.Outbox("acme") == 0);
  REQUIRE(f.store.Store("acme", Result({Make(2, 2), Make(3, 3)}, 1, 2)).ok());
  CHECK(f.Outbox("acme") == 1);
  REQUIRE(f.store.Store("acme", Result({Make(2, 2), Make(3, 3)}, 1, 2)).ok());
  CHECK(f.Outbox("acme") == 1);
  CHECK(f.woken >= 1);
  CHECK(f.store.Count("acme", {})->total == 3);
}

TEST_CASE("a task that found nothing is a result too") {
  Fixture f;
  REQUIRE(f.store.Store("acme", Result({})).ok());
  CHECK(f.Outbox("acme") == 1);
}

TEST_CASE("listings page in a mixed order without gap or repetition") {
  Fixture f;
  std::vector<Anomaly> all;
  for (int i = 0; i < 7; ++i) all.push_back(Make(i, i / 2, 1 + i % 4));
  REQUIRE(f.store.Store("acme", Result(all)).ok());
  for (const std::vector<Order>& order : {std::vector<Order>{{"severity", true}, {"anomaly_score", false}}, std::vector<Order>{{"create_time", true}, {"anomaly_score", true}},
                                          std::vector<Order>{{"row_index", false}}}) {
    std::vector<int64_t> seen;
    Listing listing{.order = order, .limit = 3};
    for (int page = 0; page < 10; ++page) {
      const auto got = f.store.List("acme", listing);
      REQUIRE(got.ok());
      for (const Anomaly& a : got->anomalies) seen.push_back(a.row_index);
      if (got->next_cursor.empty()) break;
      listing.cursor = got->next_cursor;
    }
    REQUIRE(seen.size() == 7);
    std::sort(seen.begin(), seen.end());
    CHECK(std::unique(seen.begin(), seen.end()) == seen.end());
  }
}

TEST_CASE("feedback is kept once per request and moves the anomaly on") {
  Fixture f;
  REQUIRE(f.store.Store("acme", Result({Make(1, 1)})).ok());
  const std::string id = DerivedUuid("1");
  const Feedback said{.verdict = Verdict::kFalseAlarm, .confidence = 0.8, .comment = "stock take", .author = "ann"};
  const auto first = f.store.AddFeedback("acme", id, said, "r1"), again = f.store.AddFeedback("acme", id, said, "r1");
  REQUIRE(first.ok());
  REQUIRE(again.ok());
  CHECK(first->id == again->id);
  CHECK(f.store.ListFeedback("acme", id)->size() == 1);
  CHECK(f.Outbox("acme", "facts.feedback.given") == 1);  // said once, told once
  CHECK(f.Outbox("other", "facts.feedback.given") == 0);
  CHECK(f.store.Get("acme", id)->status == Status::kDismissed);
  CHECK(absl::IsNotFound(f.store.AddFeedback("other", id, said, "").status()));
  CHECK(f.store.SetStatus("acme", id, Status::kResolved)->status == Status::kResolved);
}

}  // namespace vedette::triage
