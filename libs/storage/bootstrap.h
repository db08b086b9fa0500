// What a superuser does once for a database: roles, schemas and the functions that migrations use.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "storage/connection.h"

namespace vedette::storage {

/// Names that follow from a service's name ("model-cache" -> schema "model_cache").
struct ServiceNames {
  explicit ServiceNames(std::string_view service);
  std::string schema;
  std::string owner_role;   ///< <schema>_owner, LOGIN: owns the schema, runs migrations
  std::string app_role;     ///< <schema>_app, LOGIN NOINHERIT: what the service connects as; owns nothing
  std::string worker_role;  ///< <schema>_worker, NOLOGIN: set inside AsService, sees all tenants
};

struct ServiceCredentials {
  std::string service;
  std::string owner_password;  ///< at least 16 characters
  std::string app_password;    ///< at least 16 characters
};

/// Creates (or brings up to date: passwords, grants, functions) the database, and for each service its roles and empty
/// schema. Safe to repeat; never drops. `superuser_conninfo` may name any database.
absl::Status Bootstrap(const std::string& superuser_conninfo, const std::string& database,
                       const std::vector<ServiceCredentials>& services);

/// Every rule that a table with a tenant_id breaks: RLS enabled and forced, policies with USING and WITH CHECK,
/// tenant_id first in the primary key, no rights for the app role on partitions, no TRUNCATE. Empty when all is well.
/// Any role that can read the catalogue may ask.
absl::StatusOr<std::vector<std::string>> TenantIsolationDefects(Connection& connection, const std::string& schema);

}  // namespace vedette::storage
