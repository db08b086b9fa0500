// Observations, and what changed in the world.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <span>
#include <string>
#include <vector>

#include "services/ingest/core/catalogue.h"
#include "services/ingest/ports/dataset_store.h"

namespace vedette::ingest {

struct SeriesQuery {
  std::string entity;
  std::string metric;
  absl::Time start = absl::InfinitePast();
  absl::Time end = absl::InfiniteFuture();  ///< exclusive
  int page_size = 1000;
  std::string page_token;
};

/// Thread-safe.
class ObservationStore {
 public:
  virtual ~ObservationStore() = default;
  /// Makes sure that there are partitions for these months.
  virtual absl::Status EnsurePartitions(std::span<const absl::CivilMonth> months) = 0;
  /// All or nothing; (entity, metric, time) that is already there is counted and left as it is. FAILED_PRECONDITION
  /// naming an entity or metric that does not exist.
  virtual absl::StatusOr<WriteResult> Write(const std::string& tenant, const ObservationBatch& batch) = 0;
  /// In order of time.
  virtual absl::StatusOr<Page<Observation>> List(const std::string& tenant, const SeriesQuery& query) = 0;
  /// A repeated request id gives the first one's event.
  virtual absl::StatusOr<ChangeEvent> CreateChangeEvent(const std::string& tenant, const ChangeEvent& event,
                                                        const std::string& request_id) = 0;
  /// Newest event first.
  virtual absl::StatusOr<Page<ChangeEvent>> ListChangeEvents(const std::string& tenant, const ListQuery& query) = 0;
};

}  // namespace vedette::ingest
