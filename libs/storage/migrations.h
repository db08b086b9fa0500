// Numbered SQL files, compiled into each service, applied by the owner role of its schema.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <climits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/pool.h"

namespace vedette::storage {

/// `name` is "0001_what_it_does.sql"; `sql` the up part, a line "-- @down", and the down part.
struct MigrationFile {
  const char* name;
  const char* sql;
};

struct AppliedMigration {
  int version = 0;
  std::string name;
  std::string checksum;  ///< SHA-256 of the up part
  absl::Time applied_at;
};

struct MigratorOptions {
  absl::Duration lock_timeout = absl::Seconds(3);  ///< for each table lock: a busy table makes Up fail, not wait
  absl::Duration migrator_lock_timeout = absl::Seconds(60);  ///< for another migrator of the same schema
};

/// Each file runs in a transaction of its own, under one advisory lock per schema. Runs as the schema's owner role.
/// Every table with a tenant_id must be given to vedette.protect(), or Up refuses (FAILED_PRECONDITION, rolled back).
class Migrator {
 public:
  Migrator(std::string owner_conninfo, std::string schema, std::span<const MigrationFile> files,
           MigratorOptions options = {});

  /// Applies what is missing up to version `to`; returns the versions applied now (none when all were).
  /// FAILED_PRECONDITION when an applied file was changed since, is unknown here, or is older than an applied one.
  absl::StatusOr<std::vector<int>> Up(int to = INT_MAX);
  /// Reverts versions above `to`, newest first, with the down parts compiled in. FAILED_PRECONDITION when one has none.
  absl::StatusOr<std::vector<int>> Down(int to);
  absl::StatusOr<std::vector<AppliedMigration>> Applied();

 private:
  std::string conninfo_;
  std::string schema_;
  std::span<const MigrationFile> files_;
  MigratorOptions options_;
};

/// For readiness, as the app role: FAILED_PRECONDITION unless the schema has every migration compiled in (newer ones
/// are welcome).
absl::Status CheckSchemaVersion(Pool& pool, std::string_view schema, std::span<const MigrationFile> files);

}  // namespace vedette::storage
