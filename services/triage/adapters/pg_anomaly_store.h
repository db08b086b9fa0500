#pragma once

#include <functional>

#include "services/triage/ports/anomaly_store.h"
#include "storage/pool.h"

namespace vedette::triage {

class PgAnomalyStore final : public AnomalyStore {
 public:
  /// `stored` is called after a commit that wrote to the outbox; any thread.
  PgAnomalyStore(storage::Pool* pool, std::function<void()> stored) : pool_(pool), stored_(std::move(stored)) {}

  absl::Status Store(const std::string& tenant, const TaskResult& result) override;
  absl::StatusOr<Anomaly> Get(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<Page> List(const std::string& tenant, const Listing& listing) override;
  absl::StatusOr<Statistics> Count(const std::string& tenant, const Listing& listing) override;
  absl::StatusOr<Anomaly> SetStatus(const std::string& tenant, const std::string& id, Status status) override;
  absl::Status SetVerdict(const std::string& tenant, const std::string& id, const TriageVerdict& verdict) override;
  absl::StatusOr<std::vector<Judged>> ListJudged(const std::string& tenant, const Anomaly& like) override;
  absl::StatusOr<Feedback> AddFeedback(const std::string& tenant, const std::string& anomaly_id,
                                       const Feedback& feedback, const std::string& request_id) override;
  absl::StatusOr<std::vector<Feedback>> ListFeedback(const std::string& tenant, const std::string& anomaly_id) override;

 private:
  storage::Pool* pool_;
  std::function<void()> stored_;
};

}  // namespace vedette::triage
