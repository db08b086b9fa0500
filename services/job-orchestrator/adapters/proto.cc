#include "services/job-orchestrator/adapters/proto.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/status.h"
#include "runtime/resource_name.h"
#include "runtime/status.h"

namespace vedette::job_orchestrator {
namespace {

google::protobuf::Timestamp Stamp(absl::Time t) {
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(t));
}

}  // namespace

void ToProto(const Job& job, absl::Time now, jobs::v1::Job* out) {
  out->set_name("jobs/" + job.id);
  out->set_display_name(job.display_name);
  out->set_dataset(job.dataset);
  out->mutable_detector()->ParseFromString(job.detector);
  out->set_state(static_cast<jobs::v1::Job::State>(static_cast<int>(job.state) + 1));
  out->set_total_tasks(job.total_tasks);
  out->set_done_tasks(job.done_tasks);
  out->set_failed_tasks(job.failed_tasks);
  out->set_progress_percent(ProgressPercent(job));
  out->set_rows_scored(job.rows_scored);
  out->set_anomaly_count(job.anomaly_count);
  out->set_error(job.error);
  out->set_algorithm(job.algorithm);
  out->set_selection_reason(job.selection_reason);
  out->set_model(job.model);
  out->set_model_cache_hit(job.model_cache_hit);
  *out->mutable_create_time() = Stamp(job.create_time);
  if (job.start_time) *out->mutable_start_time() = Stamp(*job.start_time);
  if (job.end_time) *out->mutable_end_time() = Stamp(*job.end_time);
  if (const auto end = EstimatedEnd(job, now)) *out->mutable_estimated_end_time() = Stamp(*end);
}

void ToProto(const Task& task, jobs::v1::Task* out) {
  out->set_name(fmt::format("jobs/{}/tasks/{}", task.job_id, task.id));
  out->set_kind(task.kind);
  out->set_state(static_cast<jobs::v1::Task::State>(static_cast<int>(task.state) + 1));
  out->set_first_row(task.first_row);
  out->set_row_count(task.row_count);
  out->set_anomaly_count(task.anomaly_count);
  out->set_attempts(task.attempts);
  out->set_error(task.error);
  if (task.end_time) *out->mutable_end_time() = Stamp(*task.end_time);
}

void ToProto(const Schedule& schedule, jobs::v1::Schedule* out) {
  out->set_name("schedules/" + schedule.id);
  out->set_cron(schedule.cron);
  out->set_dataset(schedule.dataset);
  out->mutable_detector()->ParseFromString(schedule.detector);
  out->set_paused(schedule.paused);
  *out->mutable_next_run_time() = Stamp(schedule.next_run_time);
  if (schedule.last_run_time) *out->mutable_last_run_time() = Stamp(*schedule.last_run_time);
}

absl::Status ToProto(const LoggedSelection& s, jobs::v1::LoggedSelection* out) {
  out->set_name("modelSelections/" + s.id);
  if (!s.job_id.empty()) out->set_job("jobs/" + s.job_id);
  out->set_dataset(s.dataset);
  out->set_requested_algorithm(s.requested_algorithm);
  out->set_algorithm(s.algorithm);
  out->set_reason(s.reason);
  out->set_model(s.model);
  out->set_training_rows(s.training_rows);
  *out->mutable_select_time() = Stamp(s.select_time);
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a later version
  if (!google::protobuf::util::JsonStringToMessage(s.selection, out->mutable_selection(), options).ok()) {
    return DataLoss("modelSelections/{}: what was weighed cannot be read", s.id);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> JobId(std::string_view field, const std::string& name) { return runtime::UuidOf(field, "jobs", name); }

absl::StatusOr<std::pair<std::string, int32_t>> TaskId(std::string_view field, const std::string& name) {
  constexpr std::string_view kMiddle = "/tasks/";
  const size_t at = name.find(kMiddle);
  int32_t task = -1;
  if (at != std::string::npos) {
    const char* begin = name.data() + at + kMiddle.size();
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(begin, end, task);
    if (error != std::errc() || stop != end || begin == end) task = -1;
  }
  if (task < 0) return runtime::InvalidField(field, fmt::format("'{}' is not a task name", name));
  ASSIGN_OR_RETURN(std::string job, JobId(field, name.substr(0, at)));
  return std::pair(std::move(job), task);
}

absl::StatusOr<std::string> SimpleId(std::string_view field, std::string_view collection, const std::string& name) {
  const std::string prefix = std::string(collection) + "/";
  const std::string id = name.starts_with(prefix) ? name.substr(prefix.size()) : "";
  const bool good = !id.empty() && id.size() <= 200 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (!good) return runtime::InvalidField(field, fmt::format("'{}' is not a name like {}{{id}}", name, prefix));
  return id;
}

}  // namespace vedette::job_orchestrator
