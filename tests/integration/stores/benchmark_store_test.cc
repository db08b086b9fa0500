#include <catch2/catch.hpp>

#include "services/benchmark/adapters/pg_benchmark_store.h"
#include "support/support.h"

namespace vedette::benchmark {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

TEST_CASE("groups and standings are kept per tenant, and a refresh replaces its period") {
  const testing::ServiceDatabase db = testing::NewServiceDatabase("benchmark", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)});
  PgBenchmarkStore store(db.pool.get());
  const PeerGroup group{.id = "hotels", .display_name = "Hotels", .members = {"entities/a", "entities/b", "entities/c", "entities/d"}, .min_members = 3, .create_time = {}};
  REQUIRE(store.CreateGroup("acme", group).ok());
  CHECK(absl::IsAlreadyExists(store.CreateGroup("acme", group).status()));
  CHECK(absl::IsNotFound(store.GetGroup("other", "hotels").status()));
  CHECK(store.GetGroup("acme", "hotels")->members == group.members);

  const absl::Time start = absl::FromUnixSeconds(0), end = absl::FromUnixSeconds(86400);
  const auto four = Compare(group, "metrics/m", start, end, {{"entities/a", 1}, {"entities/b", 2}, {"entities/c", 3}, {"entities/d", 9}});
  REQUIRE(store.Write("acme", "hotels", *four).ok());
  CHECK(store.List("acme", "hotels", {})->size() == 4);
  const auto three = Compare(group, "metrics/m", start, end, {{"entities/a", 1}, {"entities/b", 2}, {"entities/c", 3}});
  REQUIRE(store.Write("acme", "hotels", *three).ok());
  const auto all = store.List("acme", "hotels", {});
  REQUIRE(all->size() == 3);
  CHECK(all->front().entity == "entities/a");
  const auto rest = store.List("acme", "hotels", {.cursor = {absl::FormatTime(absl::RFC3339_full, start, absl::UTCTimeZone()), "metrics/m", "entities/a"}, .limit = 10});
  CHECK(rest->size() == 2);
  CHECK(store.List("other", "hotels", {})->empty());
}

}  // namespace vedette::benchmark
