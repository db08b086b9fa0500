#pragma once

#include "services/ingest/ports/catalogue_store.h"
#include "storage/pool.h"

namespace vedette::ingest {

/// Thread-safe.
class PgCatalogueStore final : public CatalogueStore {
 public:
  explicit PgCatalogueStore(storage::Pool* pool) : pool_(pool) {}

  absl::StatusOr<Tenant> CreateTenant(const Tenant& tenant) override;
  absl::StatusOr<Page<Tenant>> ListTenants(const ListQuery& query) override;
  absl::StatusOr<Entity> CreateEntity(const std::string& tenant, const Entity& entity) override;
  absl::StatusOr<Page<Entity>> ListEntities(const std::string& tenant, const ListQuery& query) override;
  absl::StatusOr<Metric> CreateMetric(const std::string& tenant, const Metric& metric) override;
  absl::StatusOr<Page<Metric>> ListMetrics(const std::string& tenant, const ListQuery& query) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::ingest
