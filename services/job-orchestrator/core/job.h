// Jobs and tasks as this service thinks of them.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::job_orchestrator {

enum class JobState { kPending, kRunning, kSucceeded, kFailed, kCancelled };
enum class TaskState { kPending, kQueued, kSucceeded, kFailed, kDropped };

std::string_view Name(JobState state);
std::string_view Name(TaskState state);
JobState ParseJobState(std::string_view name);
TaskState ParseTaskState(std::string_view name);
inline bool IsFinal(JobState s) { return s != JobState::kPending && s != JobState::kRunning; }

struct Job {
  std::string id;  ///< UUID
  std::string display_name;
  std::string dataset;  ///< datasets/{dataset}
  int64_t dataset_rows = 0;
  std::string detector;  ///< the request's detector specification, opaque here
  int64_t chunk_rows = 0;
  JobState state = JobState::kPending;
  int32_t total_tasks = 0;  ///< the fit task and every score task
  int32_t done_tasks = 0;
  int32_t failed_tasks = 0;
  int64_t rows_scored = 0;
  int64_t anomaly_count = 0;
  std::string error;
  std::string algorithm;
  std::string selection_reason;
  std::string model;
  bool model_cache_hit = false;
  int64_t revision = 0;
  absl::Time create_time;
  std::optional<absl::Time> start_time;
  std::optional<absl::Time> end_time;
};

struct Task {
  std::string job_id;
  int32_t id = 0;
  std::string kind;  ///< fit, score
  TaskState state = TaskState::kPending;
  int64_t first_row = 0;
  int64_t row_count = 0;
  int64_t anomaly_count = 0;
  int32_t attempts = 0;
  std::string error;
  std::optional<absl::Time> end_time;
};

struct RowRange {
  int64_t first_row = 0;
  int64_t row_count = 0;
};

/// [0, rows) in pieces of chunk_rows; the last may be shorter. rows >= 1, chunk_rows >= 1.
std::vector<RowRange> SplitRows(int64_t rows, int64_t chunk_rows);

/// 0 to 100. 100 only when the job has ended.
double ProgressPercent(const Job& job);

/// When the job will probably end, from the pace so far; nothing before the second task is done, or after the end.
std::optional<absl::Time> EstimatedEnd(const Job& job, absl::Time now);

struct Schedule {
  std::string id;
  std::string cron;
  std::string dataset;
  std::string detector;
  bool paused = false;
  absl::Time next_run_time;
  std::optional<absl::Time> last_run_time;
};

}  // namespace vedette::job_orchestrator
