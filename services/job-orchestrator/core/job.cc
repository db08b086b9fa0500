#include "services/job-orchestrator/core/job.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vedette::job_orchestrator {
namespace {
constexpr std::array<std::string_view, 5> kJobStates = {"PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"};
constexpr std::array<std::string_view, 5> kTaskStates = {"PENDING", "QUEUED", "SUCCEEDED", "FAILED", "DROPPED"};

template <typename State>
State Parse(const std::array<std::string_view, 5>& names, std::string_view name) {
  const auto it = std::find(names.begin(), names.end(), name);
  return static_cast<State>(it == names.end() ? 0 : it - names.begin());
}
}  // namespace

std::string_view Name(JobState state) { return kJobStates[static_cast<size_t>(state)]; }
std::string_view Name(TaskState state) { return kTaskStates[static_cast<size_t>(state)]; }
JobState ParseJobState(std::string_view name) { return Parse<JobState>(kJobStates, name); }
TaskState ParseTaskState(std::string_view name) { return Parse<TaskState>(kTaskStates, name); }

std::vector<RowRange> SplitRows(int64_t rows, int64_t chunk_rows) {
  std::vector<RowRange> ranges;
  ranges.reserve(static_cast<size_t>((rows + chunk_rows - 1) / chunk_rows));
  for (int64_t first = 0; first < rows; first += chunk_rows) {
    ranges.push_back({first, std::min(chunk_rows, rows - first)});
  }
  return ranges;
}

double ProgressPercent(const Job& job) {
  if (job.state == JobState::kSucceeded) return 100;
  if (job.total_tasks == 0) return 0;
  const double share = static_cast<double>(job.done_tasks + job.failed_tasks) / job.total_tasks;
  return IsFinal(job.state) ? 100 * share : std::min(99.9, 100 * share);
}

std::optional<absl::Time> EstimatedEnd(const Job& job, absl::Time now) {
  const int ended = job.done_tasks + job.failed_tasks;
  if (IsFinal(job.state) || !job.start_time || ended < 2 || job.total_tasks <= 0) return std::nullopt;
  const absl::Duration elapsed = now - *job.start_time;
  return now + elapsed / ended * (job.total_tasks - ended);
}

}  // namespace vedette::job_orchestrator
