#pragma once

#include "services/feature-engine/ports/baseline_store.h"
#include "services/feature-engine/ports/feature_set_store.h"
#include "storage/pool.h"

namespace vedette::feature_engine {

/// Thread-safe.
class PgFeatureSetStore final : public FeatureSetStore {
 public:
  explicit PgFeatureSetStore(storage::Pool* pool) : pool_(pool) {}
  absl::StatusOr<FeatureSet> Get(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<FeatureSet> Put(const std::string& tenant, const FeatureSet& feature_set) override;
  absl::StatusOr<Page<FeatureSet>> List(const std::string& tenant, const ListQuery& query) override;

 private:
  storage::Pool* pool_;
};

/// Thread-safe.
class PgBaselineStore final : public BaselineStore {
 public:
  explicit PgBaselineStore(storage::Pool* pool) : pool_(pool) {}
  absl::StatusOr<Baseline> Create(const std::string& tenant, const Baseline& baseline,
                                  const std::string& request_id) override;
  absl::StatusOr<Baseline> Get(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<Page<Baseline>> List(const std::string& tenant, const ListQuery& query) override;
  absl::Status Delete(const std::string& tenant, const std::string& id) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::feature_engine
