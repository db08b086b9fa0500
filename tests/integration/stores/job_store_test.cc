#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "base/ids.h"
#include "services/job-orchestrator/adapters/pg_job_store.h"
#include "services/job-orchestrator/adapters/proto.h"
#include "support/support.h"
#include "vedette/common/v1/common.pb.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::job_orchestrator {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

struct Fixture {
  testing::ServiceDatabase db = testing::NewServiceDatabase("job-orchestrator", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)});
  PgJobStore store{db.pool.get(), [] {}};

  Job Create(const std::string& tenant, int chunks, const std::string& request_id = "") {
    NewJob job;
    job.job.id = NewUuidV7(absl::Now());
    job.job.dataset = "datasets/d";
    job.job.dataset_rows = chunks * 10;
    job.job.chunk_rows = 10;
    job.job.detector = common::v1::DetectorSpec().SerializeAsString();
    job.ranges = SplitRows(chunks * 10, 10);
    job.request_id = request_id;
    auto created = store.Create(tenant, job);
    REQUIRE(created.ok());
    return *created;
  }
  Job Get(const std::string& tenant, const std::string& id) {
    auto job = store.Get(tenant, id);
    REQUIRE(job.ok());
    return *job;
  }
  int Messages(const std::string& tenant, const std::string& subject) {
    int count = 0;
    REQUIRE(storage::InTenant(*db.pool, tenant, [&](storage::Tx& tx) -> absl::Status {
      auto rows = tx.Exec("select count(*) as n from outbox where subject like $1", {subject + "%"});
      if (!rows.ok()) return rows.status();
      count = static_cast<int>((*rows)[0].Int64("n"));
      return absl::OkStatus();
    }).ok());
    return count;
  }
};

const FitResult kFit{.model = "models/m", .feature_set = "featureSets/f", .algorithm = "iforest", .selection_reason = "why", .training_rows = 20};

}  // namespace

TEST_CASE("a job goes from fit to scores to its end, each report counted once") {
  Fixture f;
  const Job job = f.Create("acme", 2);
  CHECK(job.total_tasks == 3);
  CHECK(f.Messages("acme", "work.fit.") == 1);
  CHECK(f.Messages("acme", "work.score.") == 0);

  REQUIRE(f.store.FitFinished("acme", job.id, kFit).ok());
  REQUIRE(f.store.FitFinished("acme", job.id, kFit).ok());
  CHECK(f.Messages("acme", "work.score.") == 2);
  CHECK(f.Get("acme", job.id).algorithm == "iforest");

  REQUIRE(f.store.ScoreFinished("acme", job.id, 1, 10, 3).ok());
  REQUIRE(f.store.ScoreFinished("acme", job.id, 1, 10, 3).ok());
  CHECK(f.Get("acme", job.id).state == JobState::kRunning);
  REQUIRE(f.store.ScoreFinished("acme", job.id, 2, 10, 1).ok());
  const Job done = f.Get("acme", job.id);
  CHECK(done.state == JobState::kSucceeded);
  CHECK(done.rows_scored == 20);
  CHECK(done.anomaly_count == 4);
  CHECK(done.end_time.has_value());
  CHECK(f.Messages("acme", "facts.job.finished") == 1);
}

TEST_CASE("the same request_id answers the same job, within one tenant") {
  Fixture f;
  const Job a = f.Create("acme", 1, "r"), b = f.Create("acme", 5, "r"), c = f.Create("other", 1, "r");
  CHECK(a.id == b.id);
  CHECK(a.id != c.id);
  CHECK(f.Messages("acme", "work.fit.") == 1);
}

TEST_CASE("a tenant sees and changes only its own jobs") {
  Fixture f;
  const Job job = f.Create("acme", 1);
  CHECK(absl::IsNotFound(f.store.Get("other", job.id).status()));
  CHECK(absl::IsNotFound(f.store.Cancel("other", job.id).status()));
  CHECK(absl::IsNotFound(f.store.FitFinished("other", job.id, kFit)));
  CHECK(f.store.List("other", {})->empty());
}

TEST_CASE("a failed fit ends the job, and resuming tries again") {
  Fixture f;
  const Job job = f.Create("acme", 2);
  REQUIRE(f.store.TaskFailed("acme", job.id, 0, "no usable column").ok());
  const Job failed = f.Get("acme", job.id);
  CHECK(failed.state == JobState::kFailed);
  CHECK(failed.error == "no usable column");
  CHECK(absl::IsFailedPrecondition(f.store.Cancel("acme", job.id).status()));
  REQUIRE(f.store.Resume("acme", job.id).ok());
  CHECK(f.Messages("acme", "work.fit.") == 2);
  REQUIRE(f.store.FitFinished("acme", job.id, kFit).ok());
  REQUIRE(f.store.ScoreFinished("acme", job.id, 1, 10, 0).ok());
  REQUIRE(f.store.TaskFailed("acme", job.id, 2, "lost").ok());
  CHECK(f.Get("acme", job.id).state == JobState::kFailed);
  REQUIRE(f.store.Resume("acme", job.id).ok());
  REQUIRE(f.store.ScoreFinished("acme", job.id, 2, 10, 0).ok());
  const Job done = f.Get("acme", job.id);
  CHECK(done.state == JobState::kSucceeded);
  CHECK(done.rows_scored == 20);
  CHECK(absl::IsFailedPrecondition(f.store.Resume("acme", job.id).status()));
}

TEST_CASE("what comes in after a cancellation changes nothing") {
  Fixture f;
  const Job job = f.Create("acme", 2);
  REQUIRE(f.store.FitFinished("acme", job.id, kFit).ok());
  REQUIRE(f.store.Cancel("acme", job.id).ok());
  REQUIRE(f.store.ScoreFinished("acme", job.id, 1, 10, 5).ok());
  const Job cancelled = f.Get("acme", job.id);
  CHECK(cancelled.state == JobState::kCancelled);
  CHECK(cancelled.anomaly_count == 0);
}

TEST_CASE("a task that nobody answers is handed out again, and fails in the end") {
  Fixture f;
  const Job job = f.Create("acme", 1);
  CHECK(*f.store.RequeueStale(absl::Hours(1), 2) == 0);
  CHECK(*f.store.RequeueStale(-absl::Seconds(1), 2) == 1);
  CHECK(f.Messages("acme", "work.fit.") == 2);
  CHECK(*f.store.RequeueStale(-absl::Seconds(1), 2) == 1);
  CHECK(f.Get("acme", job.id).state == JobState::kFailed);
}

TEST_CASE("pages follow each other without gap or repetition") {
  Fixture f;
  std::vector<std::string> made;
  for (int i = 0; i < 5; ++i) made.push_back(f.Create("acme", 1).id);
  std::vector<std::string> seen;
  Listing listing{.limit = 2};
  for (;;) {
    const auto page = f.store.List("acme", listing);
    REQUIRE(page.ok());
    if (page->empty()) break;
    for (const Job& j : *page) seen.push_back(j.id);
    listing.cursor = {absl::FormatTime(absl::RFC3339_full, page->back().create_time, absl::UTCTimeZone()), page->back().id};
  }
  std::reverse(made.begin(), made.end());
  CHECK(seen == made);
  const Job job = f.Create("acme", 3);
  const auto tasks = f.store.ListTasks("acme", job.id, {.cursor = {"1"}, .limit = 10});
  REQUIRE(tasks.ok());
  REQUIRE(tasks->size() == 2);
  CHECK(tasks->front().first_row == 10);
}

TEST_CASE("schedules are kept, found when due, and move on once") {
  Fixture f;
  PgScheduleStore schedules(f.db.pool.get());
  const absl::Time due = absl::FromUnixSeconds(1'700'000'000);
  const Schedule s{.id = "nightly", .cron = "0 2 * * *", .dataset = "datasets/d", .detector = "", .next_run_time = due};
  REQUIRE(schedules.Create("acme", s).ok());
  CHECK(absl::IsAlreadyExists(schedules.Create("acme", s).status()));
  const auto found = schedules.Due(due + absl::Seconds(1), 10);
  REQUIRE(found.ok());
  REQUIRE(found->size() == 1);
  CHECK(found->front().first == "acme");
  REQUIRE(schedules.Advance("acme", "nightly", due, due + absl::Hours(24)).ok());
  REQUIRE(schedules.Advance("acme", "nightly", due, due + absl::Hours(48)).ok());  // too late: another process was first
  CHECK(schedules.List("acme", {})->front().next_run_time == due + absl::Hours(24));
  CHECK(schedules.List("other", {})->empty());
  REQUIRE(schedules.Delete("acme", "nightly").ok());
  CHECK(absl::IsNotFound(schedules.Delete("acme", "nightly")));
}

TEST_CASE("the selection log has every choice with all that was weighed, of jobs and of rows that came with a request") {
  Fixture f;
  const Job job = f.Create("acme", 1);
  FitResult fit = kFit;
  fit.selection = R"({"picks": [{"algorithm": "iforest", "reason": "r", "expected_quality": 0.8, "fit_seconds": 0.1}, {"algorithm": "knn"}, {"algorithm": "ecod"}],
                      "profile": {"log_rows": 3}, "review": "confirmed", "review_prompt": "{\"a\": 1}", "review_answer": "{}"})";
  REQUIRE(f.store.FitFinished("acme", job.id, fit).ok());
  const LoggedSelection direct{.id = NewUuidV7(absl::Now()), .model = "models/n", .algorithm = "knn", .reason = "few rows", .training_rows = 7, .selection = "{}"};
  REQUIRE(f.store.LogSelection("acme", direct).ok());
  REQUIRE(f.store.LogSelection("acme", direct).ok());
  REQUIRE(storage::InTenant(*f.db.pool, "acme", [&](storage::Tx& tx) -> absl::Status {
    const auto rows = tx.Exec("select job_id, requested_algorithm, algorithm, reason, training_rows, model, jsonb_array_length(picks) as n, "
                              "picks -> 0 ->> 'expected_quality' as quality, profile ->> 'log_rows' as log_rows, review, review_prompt, review_answer "
                              "from model_selection_log order by job_id nulls last");
    REQUIRE(rows.ok());
    REQUIRE(rows->rows() == 2);
    const storage::Row of_job = (*rows)[0], of_request = (*rows)[1];
    CHECK(of_job.Text("job_id") == job.id);
    CHECK(of_job.Text("requested_algorithm") == "auto");
    CHECK(of_job.Text("model") == "models/m");
    CHECK(of_job.Int64("n") == 3);
    CHECK(of_job.Text("quality") == "0.8");
    CHECK(of_job.Text("log_rows") == "3");
    CHECK(of_job.Text("review") == "confirmed");
    CHECK(of_job.Text("review_prompt") == "{\"a\": 1}");
    CHECK(of_job.Text("review_answer") == "{}");
    CHECK(of_request.Text("algorithm") == "knn");
    CHECK(of_request.Text("reason") == "few rows");
    CHECK(of_request.Int64("training_rows") == 7);
    CHECK(of_request.Int64("n") == 0);
    return absl::OkStatus();
  }).ok());
  REQUIRE(storage::InTenant(*f.db.pool, "other", [&](storage::Tx& tx) -> absl::Status {
    const auto rows = tx.Exec("select 1 from model_selection_log");
    REQUIRE(rows.ok());
    CHECK(rows->rows() == 0);
    return absl::OkStatus();
  }).ok());
}

TEST_CASE("the selection log is listed newest first, page by page, filtered, each tenant its own") {
  Fixture f;
  const Job job = f.Create("acme", 1);
  FitResult fit = kFit;
  fit.selection =
      R"({"picks": [{"algorithm": "iforest", "parameters": {"n_estimators": "50"}, "expected_quality": 0.8}], "profile": {"log_rows": 3}, "review": "confirmed"})";
  REQUIRE(f.store.FitFinished("acme", job.id, fit).ok());
  std::vector<std::string> made;
  for (int i = 0; i < 4; ++i) {
    LoggedSelection s{.id = NewUuidV7(absl::Now()),
                      .model = fmt::format("models/{}", i),
                      .algorithm = i % 2 == 0 ? "knn" : "ecod",
                      .reason = "few rows",
                      .training_rows = i};
    REQUIRE(f.store.LogSelection("acme", s).ok());
    made.push_back(s.id);
  }
  std::vector<LoggedSelection> all;
  Listing page{.limit = 2};
  do {
    const auto got = f.store.ListSelections("acme", page);
    REQUIRE(got.ok());
    REQUIRE(got->size() <= 2);
    all.insert(all.end(), got->begin(), got->end());
    page.cursor.clear();
    if (got->size() == 2)
      page.cursor = {absl::FormatTime(absl::RFC3339_full, all.back().select_time, absl::UTCTimeZone()), all.back().id};
  } while (!page.cursor.empty());
  REQUIRE(all.size() == 5);
  for (size_t i = 0; i < 4; ++i) CHECK(all[i].id == made[3 - i]);
  CHECK(all[0].job_id.empty());
  CHECK(all[0].training_rows == 3);
  const LoggedSelection& of_job = all[4];
  CHECK(of_job.job_id == job.id);
  CHECK(of_job.dataset == job.dataset);
  CHECK(of_job.requested_algorithm == "auto");
  CHECK(of_job.model == "models/m");
  CHECK(of_job.reason == "why");
  jobs::v1::LoggedSelection message;
  REQUIRE(ToProto(of_job, &message).ok());
  CHECK(message.name() == "modelSelections/" + of_job.id);
  CHECK(message.job() == "jobs/" + job.id);
  CHECK(message.selection().picks(0).expected_quality() == 0.8);
  CHECK(message.selection().picks(0).parameters().at("n_estimators") == "50");
  CHECK(message.selection().profile().at("log_rows") == 3);
  CHECK(message.selection().review() == "confirmed");

  const auto knn = f.store.ListSelections("acme", {.where = "algorithm = $1", .params = {"knn"}, .limit = 10});
  REQUIRE(knn.ok());
  CHECK(knn->size() == 2);
  const auto others = f.store.ListSelections("other", {.limit = 10});
  REQUIRE(others.ok());
  CHECK(others->empty());
}

}  // namespace vedette::job_orchestrator
