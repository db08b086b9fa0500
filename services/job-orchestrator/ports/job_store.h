// Where jobs live. Every method is one transaction: the state change and the message that follows from it commit together.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/job-orchestrator/core/job.h"

namespace vedette::job_orchestrator {

struct NewJob {
  Job job;  ///< id, display_name, dataset, dataset_rows, detector, chunk_rows
  std::vector<RowRange> ranges;
  std::string request_id;  ///< empty: none
};

struct FitResult {
  std::string model;
  std::string feature_set;
  std::string algorithm;
  std::string selection_reason;
  bool cache_hit = false;
  int64_t training_rows = 0;
  std::string selection = "{}";  ///< what "auto" weighed: JSON of common.v1.ModelSelection
};

/// One line of the selection log.
struct LoggedSelection {
  std::string id;  ///< UUID
  std::string model;
  std::string algorithm;
  std::string reason;
  int64_t training_rows = 0;
  std::string selection = "{}";  ///< JSON of common.v1.ModelSelection
  // Of lines that are listed:
  std::string job_id = {};  ///< empty: rows that came with a request
  std::string dataset = {};
  std::string requested_algorithm = {};
  absl::Time select_time = absl::InfinitePast();
};

/// A List request: keyset page of at most `limit` rows after `cursor`; `where` is rendered by runtime/filter.
struct Listing {
  std::string where = "TRUE";
  std::vector<std::string> params = {};  ///< for $1...
  std::vector<std::string> cursor = {};  ///< sort keys of the last row of the page before; empty: first page
  int limit = 50;
};

class JobStore {
 public:
  virtual ~JobStore() = default;

  /// Writes job and tasks and hands out the fit task. A request_id that was seen before answers that job instead.
  virtual absl::StatusOr<Job> Create(const std::string& tenant, const NewJob& job) = 0;
  virtual absl::StatusOr<Job> Get(const std::string& tenant, const std::string& job_id) = 0;
  /// Newest first; cursor: create_time, id.
  virtual absl::StatusOr<std::vector<Job>> List(const std::string& tenant, const Listing& listing) = 0;
  /// By task id; cursor: task id.
  virtual absl::StatusOr<std::vector<Task>> ListTasks(const std::string& tenant, const std::string& job_id,
                                                      const Listing& listing) = 0;

  /// Newest first; cursor: select_time, id.
  virtual absl::StatusOr<std::vector<LoggedSelection>> ListSelections(const std::string& tenant,
                                                                      const Listing& listing) = 0;

  // What workers report. Each takes effect once: a repeated or late report (the task is not QUEUED any more) changes
  // nothing and is OK.
  /// Hands out every score task with the model.
  virtual absl::Status FitFinished(const std::string& tenant, const std::string& job_id, const FitResult& result) = 0;
  /// Of rows that came with a request: id to selection. Once for each id.
  virtual absl::Status LogSelection(const std::string& tenant, const LoggedSelection& selection) = 0;
  virtual absl::Status ScoreFinished(const std::string& tenant, const std::string& job_id, int32_t task,
                                     int64_t rows_scored, int64_t anomaly_count) = 0;
  virtual absl::Status TaskFailed(const std::string& tenant, const std::string& job_id, int32_t task,
                                  const std::string& error) = 0;

  /// FAILED_PRECONDITION when the job has ended already (cancelling a cancelled one is OK).
  virtual absl::StatusOr<Job> Cancel(const std::string& tenant, const std::string& job_id) = 0;
  /// FAILED_PRECONDITION unless the job is FAILED or CANCELLED.
  virtual absl::StatusOr<Job> Resume(const std::string& tenant, const std::string& job_id) = 0;

  /// Tasks handed out longer than `timeout` ago: once more, or failed after max_attempts. Returns how many.
  virtual absl::StatusOr<int> RequeueStale(absl::Duration timeout, int max_attempts) = 0;
  /// Removes ended jobs older than `age`.
  virtual absl::Status RemoveOld(absl::Duration age) = 0;
};

class ScheduleStore {
 public:
  virtual ~ScheduleStore() = default;
  /// ALREADY_EXISTS.
  virtual absl::StatusOr<Schedule> Create(const std::string& tenant, const Schedule& schedule) = 0;
  /// By id; cursor: id.
  virtual absl::StatusOr<std::vector<Schedule>> List(const std::string& tenant, const Listing& listing) = 0;
  virtual absl::Status Delete(const std::string& tenant, const std::string& id) = 0;
  /// Due now, of any tenant.
  virtual absl::StatusOr<std::vector<std::pair<std::string, Schedule>>> Due(absl::Time now, int limit) = 0;
  /// Moves the schedule on, unless another process did (then nothing happens).
  virtual absl::Status Advance(const std::string& tenant, const std::string& id, absl::Time ran, absl::Time next) = 0;
};

}  // namespace vedette::job_orchestrator
