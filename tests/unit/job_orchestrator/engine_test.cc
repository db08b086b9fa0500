#include <catch2/catch.hpp>
#include <map>

#include "base/status.h"
#include "services/job-orchestrator/core/engine.h"

namespace vedette::job_orchestrator {
namespace {

class FakeJobs final : public JobStore {
 public:
  absl::StatusOr<Job> Create(const std::string&, const NewJob& job) override {
    created.push_back(job);
    return job.job;
  }
  absl::StatusOr<Job> Get(const std::string&, const std::string&) override { return NotFound("none"); }
  absl::StatusOr<std::vector<Job>> List(const std::string&, const Listing&) override { return std::vector<Job>{}; }
  absl::StatusOr<std::vector<Task>> ListTasks(const std::string&, const std::string&, const Listing&) override { return std::vector<Task>{}; }
  absl::Status FitFinished(const std::string&, const std::string&, const FitResult&) override { return absl::OkStatus(); }
  absl::Status ScoreFinished(const std::string&, const std::string&, int32_t, int64_t, int64_t) override { return absl::OkStatus(); }
  absl::Status LogSelection(const std::string&, const LoggedSelection&) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<LoggedSelection>> ListSelections(const std::string&, const Listing&) override {
    return std::vector<LoggedSelection>{};
  }
  absl::Status TaskFailed(const std::string&, const std::string&, int32_t, const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<Job> Cancel(const std::string&, const std::string&) override { return NotFound("none"); }
  absl::StatusOr<Job> Resume(const std::string&, const std::string&) override { return NotFound("none"); }
  absl::StatusOr<int> RequeueStale(absl::Duration, int) override { return 0; }
  absl::Status RemoveOld(absl::Duration) override { return absl::OkStatus(); }

  std::vector<NewJob> created;
};

class FakeSchedules final : public ScheduleStore {
 public:
  absl::StatusOr<Schedule> Create(const std::string&, const Schedule& schedule) override {
    all[schedule.id] = schedule;
    return schedule;
  }
  absl::StatusOr<std::vector<Schedule>> List(const std::string&, const Listing&) override { return std::vector<Schedule>{}; }
  absl::Status Delete(const std::string&, const std::string& id) override {
    all.erase(id);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::pair<std::string, Schedule>>> Due(absl::Time now, int) override {
    std::vector<std::pair<std::string, Schedule>> due;
    for (const auto& [id, s] : all) {
      if (s.next_run_time <= now) due.emplace_back("acme", s);
    }
    return due;
  }
  absl::Status Advance(const std::string&, const std::string& id, absl::Time ran, absl::Time next) override {
    if (all[id].next_run_time == ran) all[id].next_run_time = next;
    return absl::OkStatus();
  }
  std::map<std::string, Schedule> all;
};

DatasetRows Rows(absl::StatusOr<int64_t> rows) {
  return [rows](const std::string&) { return rows; };
}

struct World {
  FakeJobs jobs;
  FakeSchedules schedules;
  ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  Engine engine{&jobs, &schedules, {.chunk_rows = 100}, clock};
};

}  // namespace

TEST_CASE("an analysis covers every row in chunks of the wanted size") {
  World w;
  REQUIRE(w.engine.Analyze("acme", {.dataset = "datasets/d", .detector = {}, .display_name = {}, .request_id = {}}, Rows(250)).ok());
  REQUIRE(w.jobs.created.size() == 1);
  CHECK(w.jobs.created[0].ranges.size() == 3);
  REQUIRE(w.engine.Analyze("acme", {.dataset = "datasets/d", .detector = {}, .display_name = {}, .request_id = {}, .chunk_rows = 250}, Rows(250)).ok());
  CHECK(w.jobs.created[1].ranges.size() == 1);
}

TEST_CASE("an analysis that cannot be is refused with the reason") {
  World w;
  const auto code = [&](int64_t chunk, absl::StatusOr<int64_t> rows) {
    return w.engine.Analyze("acme", {.dataset = "datasets/d", .detector = {}, .display_name = {}, .request_id = {}, .chunk_rows = chunk}, Rows(rows)).status().code();
  };
  CHECK(code(-1, 10) == absl::StatusCode::kInvalidArgument);
  CHECK(code(1'000'000, 10) == absl::StatusCode::kInvalidArgument);
  CHECK(code(0, 0) == absl::StatusCode::kInvalidArgument);
  CHECK(code(1, 10'000'000) == absl::StatusCode::kInvalidArgument);
  CHECK(code(0, NotFound("gone")) == absl::StatusCode::kNotFound);
  CHECK(w.jobs.created.empty());
}

TEST_CASE("a due schedule starts one job and moves on, also when its dataset is gone") {
  World w;
  REQUIRE(w.engine.CreateSchedule("acme", {.id = "nightly", .cron = "0 2 * * *", .dataset = "datasets/d", .detector = {}, .next_run_time = {}}).ok());
  const auto catalog = [](absl::StatusOr<int64_t> rows) { return [rows](const std::string&) { return Rows(rows); }; };
  REQUIRE(w.engine.RunSchedules(catalog(10)).ok());
  CHECK(w.jobs.created.empty());
  w.clock.Advance(absl::Hours(24));
  REQUIRE(w.engine.RunSchedules(catalog(10)).ok());
  REQUIRE(w.jobs.created.size() == 1);
  CHECK_FALSE(w.jobs.created[0].request_id.empty());
  REQUIRE(w.engine.RunSchedules(catalog(10)).ok());
  CHECK(w.jobs.created.size() == 1);

  w.clock.Advance(absl::Hours(24));
  CHECK_FALSE(w.engine.RunSchedules(catalog(NotFound("gone"))).ok());
  CHECK(w.schedules.all["nightly"].next_run_time > w.clock.Now());

  w.clock.Advance(absl::Hours(24));
  const absl::Time due = w.schedules.all["nightly"].next_run_time;
  CHECK_FALSE(w.engine.RunSchedules(catalog(Unavailable("ingest is away"))).ok());
  CHECK(w.schedules.all["nightly"].next_run_time == due);  // still due: tried again
}

}  // namespace vedette::job_orchestrator
