#pragma once

#include "services/model-cache/ports/model_store.h"
#include "storage/pool.h"

namespace vedette::model_cache {

class PgModelStore final : public ModelStore {
 public:
  explicit PgModelStore(storage::Pool* pool) : pool_(pool) {}
  absl::StatusOr<Acquired> Acquire(const std::string& tenant, const ModelKey& key, absl::Duration lease) override;
  absl::StatusOr<Lease> Renew(const std::string& tenant, const std::string& lease_id, absl::Duration lease) override;
  absl::Status Release(const std::string& tenant, const std::string& lease_id) override;
  absl::StatusOr<Model> Commit(const std::string& tenant, const std::string& lease_id, const Model& model) override;
  absl::StatusOr<Model> Get(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<std::vector<Model>> List(const std::string& tenant, const Listing& listing) override;
  absl::StatusOr<Model> Invalidate(const std::string& tenant, const std::string& id, const std::string& reason) override;
  absl::StatusOr<Statistics> Statistics7Days(const std::string& tenant) override;
  absl::Status Expire() override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::model_cache
