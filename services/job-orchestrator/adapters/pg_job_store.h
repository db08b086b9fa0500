#pragma once

#include <functional>

#include "services/job-orchestrator/ports/job_store.h"
#include "storage/pool.h"
#include "storage/transaction.h"

namespace vedette::job_orchestrator {

/// Jobs in PostgreSQL; the messages to workers go through the outbox of the same transaction.
class PgJobStore final : public JobStore {
 public:
  /// `changed` is called after every committed change (wakes the relay and the watchers); any thread.
  PgJobStore(storage::Pool* pool, std::function<void()> changed) : pool_(pool), changed_(std::move(changed)) {}

  absl::StatusOr<Job> Create(const std::string& tenant, const NewJob& job) override;
  absl::StatusOr<Job> Get(const std::string& tenant, const std::string& job_id) override;
  absl::StatusOr<std::vector<Job>> List(const std::string& tenant, const Listing& listing) override;
  absl::StatusOr<std::vector<Task>> ListTasks(const std::string& tenant, const std::string& job_id,
                                              const Listing& listing) override;
  absl::StatusOr<std::vector<LoggedSelection>> ListSelections(const std::string& tenant,
                                                              const Listing& listing) override;
  absl::Status FitFinished(const std::string& tenant, const std::string& job_id, const FitResult& result) override;
  absl::Status LogSelection(const std::string& tenant, const LoggedSelection& selection) override;
  absl::Status ScoreFinished(const std::string& tenant, const std::string& job_id, int32_t task, int64_t rows_scored,
                             int64_t anomaly_count) override;
  absl::Status TaskFailed(const std::string& tenant, const std::string& job_id, int32_t task,
                          const std::string& error) override;
  absl::StatusOr<Job> Cancel(const std::string& tenant, const std::string& job_id) override;
  absl::StatusOr<Job> Resume(const std::string& tenant, const std::string& job_id) override;
  absl::StatusOr<int> RequeueStale(absl::Duration timeout, int max_attempts) override;
  absl::Status RemoveOld(absl::Duration age) override;

 private:
  absl::Status Write(const std::string& tenant, const storage::TxFunction& fn);

  storage::Pool* pool_;
  std::function<void()> changed_;
};

class PgScheduleStore final : public ScheduleStore {
 public:
  explicit PgScheduleStore(storage::Pool* pool) : pool_(pool) {}
  absl::StatusOr<Schedule> Create(const std::string& tenant, const Schedule& schedule) override;
  absl::StatusOr<std::vector<Schedule>> List(const std::string& tenant, const Listing& listing) override;
  absl::Status Delete(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<std::vector<std::pair<std::string, Schedule>>> Due(absl::Time now, int limit) override;
  absl::Status Advance(const std::string& tenant, const std::string& id, absl::Time ran, absl::Time next) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::job_orchestrator
