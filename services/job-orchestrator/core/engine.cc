#include "services/job-orchestrator/core/engine.h"

#include "base/ids.h"
#include "base/status.h"
#include "services/job-orchestrator/core/cron.h"

namespace vedette::job_orchestrator {
namespace {
constexpr int64_t kMaxChunkRows = 100000;
constexpr int64_t kMaxTasks = 100000;
}  // namespace

absl::StatusOr<Job> Engine::Analyze(const std::string& tenant, const AnalyzeRequest& request, const DatasetRows& rows) {
  const int64_t chunk = request.chunk_rows == 0 ? options_.chunk_rows : request.chunk_rows;
  if (chunk < 1 || chunk > kMaxChunkRows) {
    return InvalidArgument("chunk_rows: {} is not within 1-{}", chunk, kMaxChunkRows);
  }
  ASSIGN_OR_RETURN(const int64_t count, rows(request.dataset));
  if (count < 1) return InvalidArgument("{} has no rows to analyse", request.dataset);
  if ((count + chunk - 1) / chunk > kMaxTasks) {
    return InvalidArgument("chunk_rows: {} would make more than {} tasks of the {} rows; use at least {}", chunk,
                           kMaxTasks, count, (count + kMaxTasks - 1) / kMaxTasks);
  }
  NewJob job;
  job.job.id = NewUuidV7(clock_.Now());
  job.job.display_name = request.display_name;
  job.job.dataset = request.dataset;
  job.job.dataset_rows = count;
  job.job.detector = request.detector;
  job.job.chunk_rows = chunk;
  job.ranges = SplitRows(count, chunk);
  job.request_id = request.request_id;
  return jobs_->Create(tenant, job);
}

absl::StatusOr<Schedule> Engine::CreateSchedule(const std::string& tenant, Schedule schedule) {
  ASSIGN_OR_RETURN(const Cron cron, Cron::Parse(schedule.cron));
  schedule.next_run_time = cron.Next(clock_.Now());
  return schedules_->Create(tenant, schedule);
}

absl::Status Engine::Sweep() {
  RETURN_IF_ERROR(jobs_->RequeueStale(options_.task_timeout, options_.max_attempts).status());
  return jobs_->RemoveOld(options_.keep);
}

absl::Status Engine::RunSchedules(const std::function<DatasetRows(const std::string& tenant)>& rows_of) {
  ASSIGN_OR_RETURN(const auto due, schedules_->Due(clock_.Now(), 100));
  absl::Status first_error;
  for (const auto& [tenant, schedule] : due) {
    // The request id names the run, so two processes that see it due start one job.
    const AnalyzeRequest request{
        .dataset = schedule.dataset,
        .detector = schedule.detector,
        .display_name = fmt::format("schedule {}", schedule.id),
        .request_id = fmt::format("schedule/{}/{}", schedule.id, absl::ToUnixSeconds(schedule.next_run_time))};
    const absl::Status started = Analyze(tenant, request, rows_of(tenant)).status();
    if (absl::IsUnavailable(started) || absl::IsDeadlineExceeded(started)) {
      first_error.Update(started);  // tried again next time, still due
      continue;
    }
    // A dataset that is gone must not stop the clock of its schedule.
    first_error.Update(Annotate(started, "schedule " + schedule.id));
    ASSIGN_OR_RETURN(const Cron cron, Cron::Parse(schedule.cron));
    RETURN_IF_ERROR(schedules_->Advance(tenant, schedule.id, schedule.next_run_time, cron.Next(clock_.Now())));
  }
  return first_error;
}

}  // namespace vedette::job_orchestrator
