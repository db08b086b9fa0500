#pragma once

#include "services/ingest/ports/observation_store.h"
#include "storage/pool.h"

namespace vedette::ingest {

/// Thread-safe.
class PgObservationStore final : public ObservationStore {
 public:
  explicit PgObservationStore(storage::Pool* pool) : pool_(pool) {}

  absl::Status EnsurePartitions(std::span<const absl::CivilMonth> months) override;
  absl::StatusOr<WriteResult> Write(const std::string& tenant, const ObservationBatch& batch) override;
  absl::StatusOr<Page<Observation>> List(const std::string& tenant, const SeriesQuery& query) override;
  absl::StatusOr<ChangeEvent> CreateChangeEvent(const std::string& tenant, const ChangeEvent& event,
                                                const std::string& request_id) override;
  absl::StatusOr<Page<ChangeEvent>> ListChangeEvents(const std::string& tenant, const ListQuery& query) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::ingest
