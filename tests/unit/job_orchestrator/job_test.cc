#include <catch2/catch.hpp>

#include "services/job-orchestrator/core/job.h"

namespace vedette::job_orchestrator {

TEST_CASE("rows are split without gap or overlap") {
  for (const int64_t rows : {1, 999, 1000, 1001, 12345}) {
    int64_t next = 0;
    for (const RowRange& r : SplitRows(rows, 1000)) {
      CHECK(r.first_row == next);
      CHECK((r.row_count >= 1 && r.row_count <= 1000));
      next += r.row_count;
    }
    CHECK(next == rows);
  }
}

TEST_CASE("progress reaches 100 only at the end, and the end is estimated from the pace") {
  Job job{.state = JobState::kRunning, .total_tasks = 10};
  job.start_time = absl::FromUnixSeconds(0);
  CHECK(ProgressPercent(job) == 0);
  CHECK_FALSE(EstimatedEnd(job, absl::FromUnixSeconds(10)).has_value());
  job.done_tasks = 5;
  CHECK(ProgressPercent(job) == Approx(50));
  CHECK(EstimatedEnd(job, absl::FromUnixSeconds(10)) == absl::FromUnixSeconds(20));
  job.done_tasks = 10;
  CHECK(ProgressPercent(job) < 100);
  job.state = JobState::kSucceeded;
  CHECK(ProgressPercent(job) == 100);
  CHECK_FALSE(EstimatedEnd(job, absl::FromUnixSeconds(10)).has_value());
}

TEST_CASE("states keep their names") {
  for (int i = 0; i < 5; ++i) {
    CHECK(ParseJobState(Name(static_cast<JobState>(i))) == static_cast<JobState>(i));
    CHECK(ParseTaskState(Name(static_cast<TaskState>(i))) == static_cast<TaskState>(i));
  }
}

}  // namespace vedette::job_orchestrator
