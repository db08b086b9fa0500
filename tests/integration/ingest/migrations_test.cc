#include <catch2/catch.hpp>

#include "base/status.h"
#include "services/ingest/adapters/pg_observation_store.h"
#include "storage/transaction.h"
#include "support/support.h"

namespace vedette::ingest {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

std::span<const storage::MigrationFile> Files() { return {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}; }

TEST_CASE("the migrations go up, down and up, and keep tenants apart") {
  CHECK(testing::MigrationDefects("ingest", Files()) == std::vector<std::string>{});
}

TEST_CASE("partitions are made when needed, and nobody reaches them but through their parent") {
  const testing::ServiceDatabase db = testing::NewServiceDatabase("ingest", Files());
  PgObservationStore store(db.pool.get());
  const std::vector<absl::CivilMonth> months{absl::CivilMonth(1999, 12), absl::CivilMonth(2024, 2)};
  REQUIRE(store.EnsurePartitions(months).ok());
  REQUIRE(store.EnsurePartitions(months).ok());
  auto owner = storage::Connection::Open(db.owner_conninfo);
  REQUIRE(owner.ok());
  CHECK(*storage::TenantIsolationDefects(**owner, db.schema) == std::vector<std::string>{});

  const auto direct = storage::InTenant(
      *db.pool, "acme", [](storage::Tx& tx) { return tx.Exec("select * from observations_2024_02").status(); });
  CHECK(absl::IsPermissionDenied(direct));
  const auto far_ahead = storage::InTenant(*db.pool, "acme", [](storage::Tx& tx) {
    return tx.Exec("select ensure_observation_partition('2200-01-01')").status();
  });
  CHECK_FALSE(far_ahead.ok());
}

}  // namespace
}  // namespace vedette::ingest
