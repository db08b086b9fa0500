#pragma once

#include "services/ingest/ports/dataset_store.h"
#include "storage/pool.h"

namespace vedette::ingest {

/// Thread-safe.
class PgDatasetStore final : public DatasetStore {
 public:
  explicit PgDatasetStore(storage::Pool* pool) : pool_(pool) {}

  absl::StatusOr<Dataset> Get(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<Page<Dataset>> List(const std::string& tenant, const ListQuery& query) override;
  absl::Status Delete(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<std::vector<Chunk>> Chunks(const std::string& tenant, const std::string& id, int64_t first_row,
                                            int64_t row_count) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::ingest
