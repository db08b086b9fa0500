// Row-level security, against the real server, as the roles that production uses.
#include <catch2/catch.hpp>

#include "base/status.h"
#include "unit/storage/fixture.h"

namespace vedette::storage {

TEST_CASE("a tenant sees and writes its own rows only") {
  const auto db = Notes();
  REQUIRE(Insert(*db.pool, "t1", 1, "mine").ok());
  REQUIRE(Insert(*db.pool, "t2", 1, "theirs").ok());
  CHECK(*Count(*db.pool, "t1", "select count(*) from notes") == 1);
  CHECK(*Count(*db.pool, "t3", "select count(*) from notes") == 0);

  CHECK(absl::IsPermissionDenied(Insert(*db.pool, "t1", 2, "smuggled", "t2")));
  const absl::Status moved =
      InTenant(*db.pool, "t1", [](Tx& tx) { return tx.Exec("update notes set tenant_id = 't2', id = 9").status(); });
  CHECK(absl::IsPermissionDenied(moved));
  CHECK(InTenant(*db.pool, "t1", [](Tx& tx) -> absl::Status {
          ASSIGN_OR_RETURN(const Result r, tx.Exec("delete from notes where tenant_id = 't2'"));
          CHECK(r.affected() == 0);
          return absl::OkStatus();
        }).ok());
  CHECK(*Count(*db.pool, "t2", "select count(*) from notes where body = 'theirs'") == 1);
}

TEST_CASE("a forgotten tenant sees nothing") {
  const auto db = Notes();
  REQUIRE(Insert(*db.pool, "t1", 1, "mine").ok());
  const auto c = db.pool->Checkout();
  REQUIRE(c.ok());
  // Never set on a fresh session (NULL), and '' after a transaction that had set it.
  for (int round = 0; round < 2; ++round) {
    const auto r = (*c)->Exec("select count(*) from notes");
    REQUIRE(r.ok());
    CHECK((*r)[0].Int64(0) == 0);
    CHECK(absl::IsPermissionDenied((*c)->Exec("insert into notes (tenant_id, id) values ('t1', 2)").status()));
    CHECK(absl::IsPermissionDenied((*c)->Exec("insert into notes (tenant_id, id) values ('', 2)").status()));
    REQUIRE((*c)->Script("begin; select set_config('app.tenant', 't1', true); commit").ok());
  }
  CHECK(absl::IsInvalidArgument(InTenant(*db.pool, "", [](Tx&) { return absl::OkStatus(); })));
}

TEST_CASE("a tenant's name is a value, whatever it holds") {
  const auto db = Notes();
  const std::string odd = "o'; drop table notes; --";
  REQUIRE(Insert(*db.pool, odd, 1, "x").ok());
  CHECK(*Count(*db.pool, odd, "select count(*) from notes") == 1);
  CHECK(*Count(*db.pool, "*", "select count(*) from notes") == 0);
}

TEST_CASE("background work crosses tenants, for one transaction") {
  const auto db = testing::NewServiceDatabase("demo-notes", kNotes, 1);
  REQUIRE(Insert(*db.pool, "t1", 1, "a").ok());
  REQUIRE(Insert(*db.pool, "t2", 1, "b").ok());
  REQUIRE(AsService(*db.pool, [](Tx& tx) -> absl::Status {
            ASSIGN_OR_RETURN(const Result r, tx.Exec("update notes set body = body || '!'"));
            CHECK(r.affected() == 2);
            return absl::OkStatus();
          }).ok());
  // The same session (the pool has one), back to its own rights.
  CHECK(*Count(*db.pool, "t1", "select count(*) from notes") == 1);
  const auto owner = Connection::Open(db.owner_conninfo);
  REQUIRE(owner.ok());
  Pool as_owner(db.owner_conninfo, 1);
  CHECK(absl::IsFailedPrecondition(AsService(as_owner, [](Tx&) { return absl::OkStatus(); })));
}

TEST_CASE("the defects that the catalogue check finds") {
  const auto db = Notes();
  const auto c = Connection::Open(db.superuser_conninfo);
  REQUIRE(c.ok());
  const auto defects = [&] { return *TenantIsolationDefects(**c, db.schema); };
  const auto has = [&](std::string_view text) {
    for (const std::string& d : defects()) {
      if (d.find(text) != std::string::npos) return true;
    }
    return false;
  };
  REQUIRE(defects().empty());
  REQUIRE((*c)->Script("set search_path = demo_notes; create table bare (id int primary key, tenant_id text)").ok());
  CHECK(defects().size() == 4);
  CHECK(has("bare: row-level security is not enabled"));
  CHECK(has("bare: tenant_id is not the first column of the primary key"));
  REQUIRE((*c)->Script("drop table bare; alter table notes no force row level security").ok());
  CHECK(has("not forced"));
  REQUIRE((*c)->Script("alter table notes force row level security; create policy open on notes using (true)").ok());
  CHECK(has("policy open lets the app role past the tenant"));
  REQUIRE((*c)->Script("drop policy open on notes; grant truncate on notes to demo_notes_app").ok());
  CHECK(has("TRUNCATE"));
  REQUIRE((*c)->Script("revoke truncate on notes from demo_notes_app").ok());
  CHECK(defects().empty());
}

TEST_CASE("partitions are closed, their parent is open") {
  static constexpr MigrationFile kPoints[] = {{"0001_points.sql", R"(
create table points (tenant_id uuid not null, at timestamptz not null, v float8, primary key (tenant_id, at)) partition by range (at);
create table points_2024 partition of points for values from ('2024-01-01') to ('2025-01-01');
select vedette.protect('points');
-- @down
drop table points;
)"}};
  CHECK(testing::MigrationDefects("demo-points", kPoints) == std::vector<std::string>{});
  const auto db = testing::NewServiceDatabase("demo-points", kPoints);
  const std::string a = "00000000-0000-0000-0000-00000000000a";
  CHECK(InTenant(*db.pool, a, [&](Tx& tx) {
          return tx.Exec("insert into points values ($1, '2024-05-05', 1)", {a}).status();
        }).ok());
  CHECK(*Count(*db.pool, a, "select count(*) from points") == 1);
  CHECK(*Count(*db.pool, "00000000-0000-0000-0000-00000000000b", "select count(*) from points") == 0);
  CHECK(absl::IsPermissionDenied(Count(*db.pool, a, "select count(*) from points_2024").status()));
}

}  // namespace vedette::storage
