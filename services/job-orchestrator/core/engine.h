// The rules of jobs and schedules, above the store.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "base/clock.h"
#include "services/job-orchestrator/core/job.h"
#include "services/job-orchestrator/ports/dataset_catalog.h"
#include "services/job-orchestrator/ports/job_store.h"

namespace vedette::job_orchestrator {

struct EngineOptions {
  int64_t chunk_rows = 1000;
  int max_attempts = 4;
  absl::Duration task_timeout = absl::Seconds(300);
  absl::Duration keep = absl::Hours(24 * 90);
};

struct AnalyzeRequest {
  std::string dataset;
  std::string detector;  ///< opaque
  std::string display_name;
  std::string request_id;
  int64_t chunk_rows = 0;  ///< 0: the default
};

class Engine {
 public:
  Engine(JobStore* jobs, ScheduleStore* schedules, EngineOptions options, const Clock& clock)
      : jobs_(jobs), schedules_(schedules), options_(options), clock_(clock) {}

  /// INVALID_ARGUMENT (chunk_rows, an empty dataset), NOT_FOUND, FAILED_PRECONDITION.
  absl::StatusOr<Job> Analyze(const std::string& tenant, const AnalyzeRequest& request, const DatasetRows& rows);
  absl::StatusOr<Schedule> CreateSchedule(const std::string& tenant, Schedule schedule);

  /// One look at what is overdue: stale tasks, old jobs.
  absl::Status Sweep();
  /// Starts every schedule that is due. `rows_of(tenant)` speaks to the catalogue as this service.
  absl::Status RunSchedules(const std::function<DatasetRows(const std::string& tenant)>& rows_of);

 private:
  JobStore* jobs_;
  ScheduleStore* schedules_;
  EngineOptions options_;
  const Clock& clock_;
};

}  // namespace vedette::job_orchestrator
