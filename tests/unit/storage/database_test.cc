#include <absl/synchronization/barrier.h>
#include <absl/synchronization/notification.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <thread>

#include "base/status.h"
#include "storage/copy.h"
#include "unit/storage/fixture.h"

namespace vedette::storage {

TEST_CASE("values come back as they went in") {
  const auto db = Notes();
  const absl::StatusOr<Pool::Lease> c = db.pool->Checkout();
  REQUIRE(c.ok());
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes.push_back(static_cast<char>(i));
  const std::vector<std::string> words = {"plain", "with \"quotes\"", "back\\slash", "a,b", "{}", "NULL", ""};
  const std::vector<double> numbers = {0.1, -1e308, 5e-324};
  const std::vector<int64_t> ints = {std::numeric_limits<int64_t>::min(), 0, std::numeric_limits<int64_t>::max()};
  const absl::Time t = absl::FromUnixMicros(1709210096123456);
  const auto r = (*c)->Exec(
      "select $1::bigint as i, $2::float8 as d, $3::bool as b, $4::text as s, $5::bytea as x, $6::timestamptz as t, "
      "$7::text[] as words, "
      "$8::float8[] as numbers, $9::bigint[] as ints, $10::text as nothing",
      {std::numeric_limits<int64_t>::min(), 0.1 + 0.2, true, "tab\tquote'%s", Bytes{all_bytes}, t, words, numbers, ints,
       nullptr});
  REQUIRE(r.ok());
  const Row row = (*r)[0];
  CHECK(row.Int64("i") == std::numeric_limits<int64_t>::min());
  CHECK(row.Double("d") == 0.1 + 0.2);
  CHECK(row.Bool("b"));
  CHECK(row.Text("s") == "tab\tquote'%s");
  CHECK(row.Bytes("x") == all_bytes);
  CHECK(row.Time("t") == t);
  CHECK(row.TextArray("words") == words);
  CHECK(row.DoubleArray("numbers") == numbers);
  CHECK(row.Int64Array("ints") == ints);
  CHECK(row.IsNull("nothing"));
  CHECK(row.OptionalText("nothing") == std::nullopt);
  CHECK(row.OptionalInt64(0) == std::numeric_limits<int64_t>::min());
  CHECK(r->status().ok());
}

TEST_CASE("times of every kind") {
  const auto db = Notes();
  const absl::StatusOr<Pool::Lease> c = db.pool->Checkout();
  REQUIRE(c.ok());
  for (const absl::Time t : {absl::UnixEpoch(), absl::FromUnixMicros(-1), absl::FromUnixSeconds(-62135596801),
                             absl::FromUnixSeconds(-70000000000), absl::FromUnixSeconds(300000000000),
                             absl::InfiniteFuture(), absl::InfinitePast()}) {
    const auto r = (*c)->Exec("select $1::timestamptz", {t});
    REQUIRE(r.ok());
    CHECK((*r)[0].Time(0) == t);
    CHECK(r->status().ok());
  }
  const auto date = (*c)->Exec("select '2024-02-29'::date, 'NaN'::float8, '-Infinity'::float8");
  REQUIRE(date.ok());
  CHECK((*date)[0].Time(0) == absl::FromCivil(absl::CivilDay(2024, 2, 29), absl::UTCTimeZone()));
  CHECK(std::isnan((*date)[0].Double(1)));
  CHECK((*date)[0].Double(2) == -std::numeric_limits<double>::infinity());
}

TEST_CASE("a wrong column access spoils the commit") {
  const auto db = Notes();
  int64_t read = -1;
  const absl::Status s = InTenant(*db.pool, "t1", [&](Tx& tx) -> absl::Status {
    const auto r = tx.Exec("select 'abc'::text as name");
    read = (*r)[0].Int64("name");
    CHECK(absl::IsInternal(r->status()));
    CHECK((*r)[0].Text("nome").empty());
    return tx.Exec("insert into notes (tenant_id, id) values ('t1', 1)").status();
  });
  CHECK(read == 0);
  CHECK(absl::IsInternal(s));
  CHECK(Message(s).find("name") != std::string_view::npos);
  CHECK(Message(s).find("abc") == std::string_view::npos);
  CHECK(*Count(*db.pool, "t1", "select count(*) from notes") == 0);
}

TEST_CASE("errors carry the code that fits") {
  const auto db = Notes();
  REQUIRE(Insert(*db.pool, "t1", 1, "first").ok());
  const absl::Status twice = Insert(*db.pool, "t1", 1, "secret value");
  CHECK(absl::IsAlreadyExists(twice));
  CHECK(SqlState(twice) == "23505");
  CHECK(ConstraintName(twice) == "notes_pkey");
  CHECK(Message(twice).find("secret") == std::string_view::npos);
  const auto code = [&](std::string_view sql, const Params& p = {}) {
    return InTenant(*db.pool, "t1", [&](Tx& tx) { return tx.Exec(sql, p).status(); }).code();
  };
  CHECK(code("insert into notes (tenant_id) values ('t1')") == absl::StatusCode::kInvalidArgument);
  CHECK(code("select $1::int", {"abc"}) == absl::StatusCode::kInvalidArgument);
  CHECK(code("select 1/$1::int", {0}) == absl::StatusCode::kInvalidArgument);
  CHECK(code("select $1::text", {std::string("a\0b", 3)}) == absl::StatusCode::kInvalidArgument);
  CHECK(code("select $1::text", {"\xff\xfe"}) == absl::StatusCode::kInvalidArgument);
  CHECK(code("truncate notes") == absl::StatusCode::kPermissionDenied);
  CHECK(code("drop table notes") == absl::StatusCode::kPermissionDenied);
  CHECK(code("create table mine (x int)") == absl::StatusCode::kPermissionDenied);
  CHECK(code("select nonsense") == absl::StatusCode::kInternal);
}

TEST_CASE("an ignored error does not become a commit") {
  const auto db = Notes();
  const absl::Status s = InTenant(*db.pool, "t1", [&](Tx& tx) -> absl::Status {
    CHECK(tx.Exec("insert into notes (tenant_id, id) values ('t1', 1)").ok());
    CHECK_FALSE(tx.Exec("select nonsense").ok());
    return absl::OkStatus();
  });
  CHECK(absl::IsInternal(s));
  CHECK(*Count(*db.pool, "t1", "select count(*) from notes") == 0);
}

TEST_CASE("serialization failures are tried again") {
  const auto db = Notes();
  REQUIRE(Insert(*db.pool, "t1", 1, "0").ok());
  // Both read before either writes, the first time round; then one must lose and repeat.
  absl::Barrier* barrier = new absl::Barrier(2);
  std::atomic<int> attempts{0};
  const auto increment = [&] {
    bool first = true;
    const absl::Status s = InTenant(
        *db.pool, "t1",
        [&](Tx& tx) -> absl::Status {
          ++attempts;
          ASSIGN_OR_RETURN(const Result r, tx.Exec("select body::int from notes where id = 1"));
          if (std::exchange(first, false) && barrier->Block()) delete barrier;
          return tx.Exec("update notes set body = $1::text where id = 1", {std::to_string(r[0].Int64(0) + 1)}).status();
        },
        {.serializable = true});
    CHECK(s.ok());
  };
  { const std::jthread a(increment), b(increment); }
  CHECK(*Count(*db.pool, "t1", "select body::int from notes") == 2);
  CHECK(attempts >= 3);
}

TEST_CASE("an ABORTED of the program's own is not tried again") {
  const auto db = Notes();
  int calls = 0;
  const absl::Status s = InTenant(*db.pool, "t1", [&](Tx&) -> absl::Status {
    ++calls;
    return absl::AbortedError("the etag does not match");
  });
  CHECK(absl::IsAborted(s));
  CHECK(calls == 1);
}

TEST_CASE("the pool is bounded and cleans what comes back") {
  const auto db = testing::NewServiceDatabase("demo-notes", kNotes, 1);
  {
    const auto held = db.pool->Checkout();
    REQUIRE(held.ok());
    REQUIRE((*held)->Script("begin; create temporary table t (x int)").ok());
    CHECK(absl::IsResourceExhausted(db.pool->Checkout(absl::Now() + absl::Milliseconds(20)).status()));
    CHECK(db.pool->stats().in_use == 1);
  }
  const auto again = db.pool->Checkout();
  REQUIRE(again.ok());
  CHECK((*again)->idle());
  CHECK_FALSE((*again)->Exec("select * from t").ok());
}

TEST_CASE("a connection that died is replaced") {
  const auto db = testing::NewServiceDatabase("demo-notes", kNotes, 1);
  REQUIRE(db.pool->Ping(absl::Now() + absl::Seconds(5)).ok());
  const auto admin = Connection::Open(db.superuser_conninfo);
  REQUIRE(admin.ok());
  const auto kill = [&] {
    const auto r = (*admin)->Exec(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'demo_notes_app' and datname = "
        "$1",
        {db.database});
    REQUIRE(r.ok());
    REQUIRE(r->rows() == 1);
  };
  SECTION("while idle") {
    kill();
    CHECK(Insert(*db.pool, "t1", 1, "a").ok());
  }
  SECTION("inside a transaction") {
    const absl::Status s = InTenant(*db.pool, "t1", [&](Tx& tx) -> absl::Status {
      kill();
      return tx.Exec("select 1").status();
    });
    CHECK(absl::IsUnavailable(s));
    CHECK(Insert(*db.pool, "t1", 1, "a").ok());
  }
}

TEST_CASE("wrong passwords and absent servers are told apart") {
  const auto db = Notes();
  CHECK(absl::IsUnauthenticated(Connection::Open(*WithKeyword(db.app_conninfo, "password", "wrong")).status()));
  CHECK(absl::IsUnavailable(Connection::Open(*WithKeyword(db.app_conninfo, "port", "1")).status()));
  const absl::Status bad = Connection::Open("host=x password='sesame").status();
  CHECK(absl::IsInvalidArgument(bad));
  CHECK(Message(bad).find("sesame") == std::string_view::npos);
}

TEST_CASE("rows stream in bounded memory, and stop when told") {
  const auto db = Notes();
  int64_t sum = 0, seen = 0;
  CHECK(InTenant(*db.pool, "t1", [&](Tx& tx) {
          return tx.Stream("select generate_series(1, $1::int) as n", {100000}, [&](const Row& row) {
            sum += row.Int64("n");
            return absl::OkStatus();
          });
        }).ok());
  CHECK(sum == int64_t{100000} * 100001 / 2);
  const absl::Status stopped = InTenant(*db.pool, "t1", [&](Tx& tx) {
    return tx.Stream("select generate_series(1, 10000000)", {},
                     [&](const Row&) { return ++seen == 10 ? absl::CancelledError("enough") : absl::OkStatus(); });
  });
  CHECK(absl::IsCancelled(stopped));
  CHECK(seen == 10);
  CHECK(db.pool->Ping(absl::Now() + absl::Seconds(5)).ok());
}

TEST_CASE("more statements than are kept prepared, and a table that changes under one") {
  const auto db = Notes();
  const auto c = Connection::Open(db.owner_conninfo);
  REQUIRE(c.ok());
  for (int i = 0; i < 600; ++i) REQUIRE((*c)->Exec(fmt::format("select {}", i)).ok());
  REQUIRE((*c)->Script("create table w (a int)").ok());
  REQUIRE((*c)->Exec("select * from w").ok());
  REQUIRE((*c)->Script("alter table w add b int").ok());
  CHECK(absl::IsAborted((*c)->Exec("select * from w").status()));
  CHECK((*c)->Exec("select * from w").ok());
}

TEST_CASE("bulk insert") {
  const auto db = Notes();
  const auto write = [&](std::string_view tenant, int n, BulkSpec spec) -> absl::StatusOr<int64_t> {
    int64_t rows = -1;
    const absl::Status s = InTenant(*db.pool, "t1", [&](Tx& tx) -> absl::Status {
      ASSIGN_OR_RETURN(BulkInsert bulk, BulkInsert::Begin(tx, spec));
      for (int i = 0; i < n; ++i) {
        bulk.Text(tenant);
        bulk.Int64(i);
        bulk.Text(i == 0 ? "tab\t newline\n back\\slash \\N \\." : "x");
        if (i % 2 == 0)
          bulk.Null();
        else
          bulk.Double(i / 3.0);
        bulk.Bytes(std::string_view("\0\xff\\", 3));
        bulk.Time(absl::UnixEpoch());
        RETURN_IF_ERROR(bulk.EndRow());
      }
      ASSIGN_OR_RETURN(rows, bulk.Finish());
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(s);
    return rows;
  };
  const BulkSpec ignore{.table = "notes",
                        .columns = {"tenant_id", "id", "body", "weight", "raw", "at"},
                        .on_conflict = "on conflict do nothing"};
  CHECK(*write("t1", 5000, ignore) == 5000);
  CHECK(*write("t1", 6000, ignore) == 1000);
  CHECK(*Count(*db.pool, "t1", "select count(*) from notes where weight is null") == 3000);
  CHECK(*Count(*db.pool, "t1",
               "select count(*) from notes where id = 0 and body = E'tab\\t newline\\n back\\\\slash \\\\N \\\\.'") ==
        1);
  CHECK(*Count(*db.pool, "t1", "select count(*) from notes where raw = '\\x00ff5c'") == 6000);

  CHECK(absl::IsPermissionDenied(write("t2", 1, ignore).status()));

  const absl::Status ragged = InTenant(*db.pool, "t1", [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(BulkInsert bulk, BulkInsert::Begin(tx, ignore));
    bulk.Text("t1");
    return bulk.EndRow();
  });
  CHECK(absl::IsInvalidArgument(ragged));

  // The last of equal keys wins.
  CHECK(InTenant(*db.pool, "t1", [&](Tx& tx) -> absl::Status {
          ASSIGN_OR_RETURN(
              BulkInsert bulk,
              BulkInsert::Begin(tx, {.table = "notes",
                                     .columns = {"tenant_id", "id", "body"},
                                     .on_conflict = "on conflict (tenant_id, id) do update set body = excluded.body",
                                     .distinct_on = "tenant_id, id"}));
          for (const char* body : {"one", "two", "three"}) {
            bulk.Text("t1");
            bulk.Int64(7);
            bulk.Text(body);
            RETURN_IF_ERROR(bulk.EndRow());
          }
          ASSIGN_OR_RETURN(const int64_t rows, bulk.Finish());
          CHECK(rows == 1);
          return absl::OkStatus();
        }).ok());
  CHECK(*Count(*db.pool, "t1", "select count(*) from notes where id = 7 and body = 'three'") == 1);
}

}  // namespace vedette::storage
