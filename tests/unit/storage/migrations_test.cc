#include <catch2/catch.hpp>

#include "base/status.h"
#include "unit/storage/fixture.h"

namespace vedette::storage {

TEST_CASE("up, down, up leaves nothing behind") {
  CHECK(testing::MigrationDefects("demo-notes", kNotes) == std::vector<std::string>{});
}

TEST_CASE("the history is kept and checked") {
  const auto db = Notes();
  Migrator migrator(db.owner_conninfo, db.schema, kNotes);
  CHECK(migrator.Up()->empty());
  const auto applied = migrator.Applied();
  REQUIRE(applied.ok());
  REQUIRE(applied->size() == 2);
  CHECK((*applied)[1].name == "0002_index.sql");
  CHECK(CheckSchemaVersion(*db.pool, db.schema, kNotes).ok());

  SECTION("a step back and forth") {
    CHECK(*migrator.Down(1) == std::vector<int>{2});
    CHECK(absl::IsFailedPrecondition(CheckSchemaVersion(*db.pool, db.schema, kNotes)));
    CHECK(*migrator.Up() == std::vector<int>{2});
  }
  SECTION("a changed file") {
    const MigrationFile changed[] = {{"0001_notes.sql", "select 1;\n-- @down\n"}, kNotes[1]};
    const absl::Status s = Migrator(db.owner_conninfo, db.schema, changed).Up().status();
    CHECK(absl::IsFailedPrecondition(s));
    CHECK(Message(s).find("0001_notes.sql of schema demo_notes was changed after it was applied") !=
          std::string_view::npos);
  }
  SECTION("a changed way back is fine") {
    const std::string other = std::string(kNotes[1].sql) + "-- more\n";
    const MigrationFile changed[] = {kNotes[0], {"0002_index.sql", other.c_str()}};
    CHECK(Migrator(db.owner_conninfo, db.schema, changed).Up().ok());
  }
  SECTION("an older program") {
    CHECK(absl::IsFailedPrecondition(Migrator(db.owner_conninfo, db.schema, {kNotes, 1}).Up().status()));
    CHECK(CheckSchemaVersion(*db.pool, db.schema, {kNotes, 1}).ok());
  }
  SECTION("the app role cannot migrate") {
    CHECK(absl::IsPermissionDenied(Migrator(db.app_conninfo, db.schema, kNotes).Up().status()));
  }
}

TEST_CASE("a failing migration leaves no trace") {
  const auto db = Notes();
  const auto up = [&](const char* sql) {
    const MigrationFile files[] = {kNotes[0], kNotes[1], {"0003_bad.sql", sql}};
    return Migrator(db.owner_conninfo, db.schema, files).Up().status();
  };
  const absl::Status exists = up("create table fresh (x int); create table notes (x int);");
  CHECK(absl::IsAlreadyExists(exists));
  CHECK(Message(exists).find("migration 0003_bad.sql: relation \"notes\" already exists (was it made by hand?") !=
        std::string_view::npos);
  const absl::Status open = up("create table fresh (tenant_id text, primary key (tenant_id));");
  CHECK(absl::IsFailedPrecondition(open));
  CHECK(Message(open).find("demo_notes.fresh: row-level security is not enabled") != std::string_view::npos);
  CHECK(up("create table fresh (x int); select vedette.protect('fresh')").code() == absl::StatusCode::kInternal);
  const auto c = Connection::Open(db.owner_conninfo);
  CHECK((*(*c)->Exec("select to_regclass('fresh') is null"))[0].Bool(0));
  CHECK(Migrator(db.owner_conninfo, db.schema, kNotes).Up()->empty());
}

TEST_CASE("a busy table makes a migration fail instead of wait") {
  const auto db = Notes();
  const auto holder = db.pool->Checkout();
  REQUIRE((*holder)->Script("begin; select * from notes").ok());
  const MigrationFile files[] = {kNotes[0], kNotes[1], {"0003_lock.sql", "alter table notes add extra int;"}};
  const absl::Status s =
      Migrator(db.owner_conninfo, db.schema, files, {.lock_timeout = absl::Milliseconds(20)}).Up().status();
  CHECK(absl::IsAborted(s));
  CHECK(Message(s).find("busy") != std::string_view::npos);
}

TEST_CASE("bad file names are refused") {
  const auto db = Notes();
  const MigrationFile unnumbered[] = {{"notes.sql", ""}};
  CHECK(absl::IsInvalidArgument(Migrator(db.owner_conninfo, db.schema, unnumbered).Up().status()));
  const MigrationFile twice[] = {{"0001_a.sql", ""}, {"0001_b.sql", ""}};
  CHECK(absl::IsInvalidArgument(Migrator(db.owner_conninfo, db.schema, twice).Up().status()));
}

TEST_CASE("bootstrap is repeatable and refuses weak passwords and odd names") {
  const std::string super = testing::SharedPostgres().Conninfo();
  const std::string strong(16, 'x');
  CHECK(Bootstrap(super, "again", {{"demo-again", strong, strong}}).ok());
  CHECK(Bootstrap(super, "again", {{"demo-again", strong + "2", strong + "2"}}).ok());
  CHECK(Connection::Open(testing::SharedPostgres().Conninfo("again", "demo_again_app", strong + "2")).ok());
  CHECK(absl::IsInvalidArgument(Bootstrap(super, "again", {{"demo-again", "short", strong}})));
  CHECK(absl::IsInvalidArgument(Bootstrap(super, "again", {{"demo\"; drop", strong, strong}})));
  CHECK(absl::IsInvalidArgument(Bootstrap(super, "a b", {})));
  const auto outsider = Connection::Open(testing::SharedPostgres().Conninfo("again", "demo_again_app", strong + "2"));
  REQUIRE(outsider.ok());
  CHECK(absl::IsPermissionDenied((*outsider)->Exec("create table public.x (a int)").status()));
}

}  // namespace vedette::storage
