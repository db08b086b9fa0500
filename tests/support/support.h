// Real servers for tests: one PostgreSQL and one nats-server per test program, started when first asked for, on free
// ports, in a temporary folder, and gone with the program however it ends.
#pragma once

#include <absl/status/status.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "devcluster/devcluster.h"
#include "messaging/connection.h"
#include "storage/bootstrap.h"
#include "storage/migrations.h"
#include "storage/pool.h"

namespace vedette::testing {

/// A folder that goes with this object. Under the program's own temporary folder.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Abort the program with the reason when they cannot start. Call from the main thread.
devcluster::PostgresServer& SharedPostgres();
devcluster::NatsServer& SharedNats();

/// A database of its own in SharedPostgres, with the roles and the migrated schema of one service.
struct ServiceDatabase {
  std::string database;
  std::string superuser_conninfo;
  std::string owner_conninfo;
  std::string app_conninfo;
  std::string schema;
  std::unique_ptr<storage::Pool> pool;  ///< as the app role
};
/// Aborts with the reason when a migration fails. ServiceDatabase db = NewServiceDatabase("triage",
/// triage::kMigrationFiles, count);
ServiceDatabase NewServiceDatabase(std::string_view service, std::span<const storage::MigrationFile> files,
                                   int pool_size = 4);

/// A connection to SharedNats with our streams in place and emptied. Aborts with the reason when it cannot.
std::unique_ptr<messaging::Connection> NewNatsConnection();

/// For a test in each service: REQUIRE(MigrationDefects("triage", files) == std::vector<std::string>{}). Applies
/// everything on an empty database, checks every table with a tenant_id (TenantIsolationDefects), reverts everything
/// (nothing may be left) and applies it again.
std::vector<std::string> MigrationDefects(std::string_view service, std::span<const storage::MigrationFile> files);

}  // namespace vedette::testing
