#include <catch2/catch.hpp>

#include "base/ids.h"
#include "services/model-cache/adapters/pg_model_store.h"
#include "support/support.h"

namespace vedette::model_cache {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

struct Fixture {
  testing::ServiceDatabase db = testing::NewServiceDatabase("model-cache", {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)});
  PgModelStore store{db.pool.get()};
  ModelKey key{.subject = "datasets/d", .metric = {}, .schema = {"a:numeric"}, .algorithm = "iforest", .parameters = {{"n", "1"}}, .feature_set = "f"};

  Acquired Acquire(const std::string& tenant, absl::Duration lease = absl::Seconds(30)) {
    auto acquired = store.Acquire(tenant, key, lease);
    REQUIRE(acquired.ok());
    return *acquired;
  }
  Model Commit(const std::string& tenant, const std::string& lease, absl::Time expire = absl::Now() + absl::Hours(1)) {
    Model m;
    m.id = NewUuidV7(absl::Now());
    m.size_bytes = 10;
    m.sha256 = std::string(64, 'a');
    m.training_rows = 5;
    m.expire_time = expire;
    auto stored = store.Commit(tenant, lease, m);
    REQUIRE(stored.ok());
    return *stored;
  }
};

}  // namespace

TEST_CASE("one lease, then the model for everybody, in one tenant") {
  Fixture f;
  const Acquired first = f.Acquire("acme");
  REQUIRE(std::holds_alternative<Lease>(first));
  CHECK(std::holds_alternative<std::monostate>(f.Acquire("acme")));
  CHECK(std::holds_alternative<Lease>(f.Acquire("other")));
  const Model model = f.Commit("acme", std::get<Lease>(first).id);
  CHECK(model.version == 1);
  CHECK(model.key.parameters.at("n") == "1");
  const Acquired hit = f.Acquire("acme");
  REQUIRE(std::holds_alternative<Model>(hit));
  CHECK(std::get<Model>(hit).id == model.id);
  CHECK(std::get<Model>(hit).hit_count == 1);
  const auto stats = f.store.Statistics7Days("acme");
  CHECK(stats->hits == 1);
  CHECK(stats->misses == 1);
  CHECK(stats->models == 1);
  CHECK(absl::IsNotFound(f.store.Get("other", model.id).status()));
}

TEST_CASE("a lease that ran out goes to the next caller, and its old holder is refused") {
  Fixture f;
  const std::string old = std::get<Lease>(f.Acquire("acme", -absl::Seconds(1))).id;
  const Acquired second = f.Acquire("acme");
  REQUIRE(std::holds_alternative<Lease>(second));
  Model m;
  m.id = NewUuid();
  m.expire_time = absl::Now() + absl::Hours(1);
  CHECK(absl::IsAborted(f.store.Commit("acme", old, m).status()));
  CHECK(absl::IsAborted(f.store.Renew("acme", old, absl::Seconds(5)).status()));
  CHECK(f.store.Renew("acme", std::get<Lease>(second).id, absl::Seconds(5)).ok());
  REQUIRE(f.store.Release("acme", std::get<Lease>(second).id).ok());
  CHECK(std::holds_alternative<Lease>(f.Acquire("acme")));
}

TEST_CASE("an invalidated or expired model is trained again, as the next version") {
  Fixture f;
  const Model one = f.Commit("acme", std::get<Lease>(f.Acquire("acme")).id);
  const auto gone = f.store.Invalidate("acme", one.id, "the prices changed");
  REQUIRE(gone.ok());
  CHECK(gone->state == State::kInvalidated);
  CHECK(gone->invalidation_reason == "the prices changed");
  const Acquired next = f.Acquire("acme");
  REQUIRE(std::holds_alternative<Lease>(next));
  const Model two = f.Commit("acme", std::get<Lease>(next).id, absl::Now() - absl::Seconds(1));
  CHECK(two.version == 2);
  CHECK(std::holds_alternative<Lease>(f.Acquire("acme")));
  REQUIRE(f.store.Expire().ok());
  CHECK(f.store.Get("acme", two.id)->state == State::kExpired);
  CHECK(f.store.List("acme", {.limit = 10})->size() == 2);
}

}  // namespace vedette::model_cache
