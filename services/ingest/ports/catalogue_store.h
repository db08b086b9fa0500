// Tenants, entities and metrics.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "services/ingest/core/catalogue.h"
#include "services/ingest/ports/dataset_store.h"

namespace vedette::ingest {

/// Thread-safe. Create gives ALREADY_EXISTS when the id is taken.
class CatalogueStore {
 public:
  virtual ~CatalogueStore() = default;
  /// The registry of tenants is the platform's own, above all tenants.
  virtual absl::StatusOr<Tenant> CreateTenant(const Tenant& tenant) = 0;
  virtual absl::StatusOr<Page<Tenant>> ListTenants(const ListQuery& query) = 0;
  virtual absl::StatusOr<Entity> CreateEntity(const std::string& tenant, const Entity& entity) = 0;
  virtual absl::StatusOr<Page<Entity>> ListEntities(const std::string& tenant, const ListQuery& query) = 0;
  /// ALREADY_EXISTS also for an id of the standard catalogue.
  virtual absl::StatusOr<Metric> CreateMetric(const std::string& tenant, const Metric& metric) = 0;
  /// The standard catalogue's and the tenant's own.
  virtual absl::StatusOr<Page<Metric>> ListMetrics(const std::string& tenant, const ListQuery& query) = 0;
};

}  // namespace vedette::ingest
