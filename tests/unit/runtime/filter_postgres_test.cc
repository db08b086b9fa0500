// The SQL that filters become, run by PostgreSQL over a small table.
#include <catch2/catch.hpp>

#include "base/status.h"
#include "runtime/filter.h"
#include "storage/connection.h"
#include "support/support.h"

namespace vedette::runtime {
namespace {

const FilterSchema& StoredSchema() {
  static const FilterSchema schema{
      .fields = {{"status", "status"},
                 {"score", "score", FilterField::Type::kNumber},
                 {"row", "row_index", FilterField::Type::kInteger},
                 {"muted", "muted", FilterField::Type::kBool},
                 {"create_time", "created", FilterField::Type::kTimestamp},
                 {"age", "age", FilterField::Type::kDuration},
                 {"severity", "severity", FilterField::Type::kEnum, {"LOW", "MEDIUM", "HIGH"}, {"1", "2", "3"}},
                 {"id", "uid", FilterField::Type::kUuid},
                 {"metadata", "metadata", FilterField::Type::kJson},
                 {"tags", "tags", FilterField::Type::kStringArray}},
      .search_sql = {"status", "title"}};
  return schema;
}

constexpr char kTable[] = R"(
  create temporary table t (n int, status text, score float8, row_index bigint, muted boolean, created timestamptz,
    age interval, severity smallint, uid uuid, metadata jsonb, tags text[], title text);
  insert into t values
    (1, 'open', 0.9, 10, true, '2024-05-01T00:00:00Z', '30 s', 1, '00000000-0000-4000-8000-000000000001',
     '{"region": "west", "n": 5, "a": {"b": "deep"}}', '{blue,red}', 'Pump 7'),
    (2, '100%', 0.1, -3, false, '2024-06-01T00:00:00Z', '2 h', 2, '00000000-0000-4000-8000-000000000002',
     '{"region": "east", "n": 5.0, "l": ["x"]}', '{}', 'valve'),
    (3, null, null, null, null, null, null, 3, null, null, null, null),
    (4, 'op*n', 0.5, 9007199254740993, false, '2025-01-01T00:00:00Z', '90 s', 3,
     '00000000-0000-4000-8000-000000000004', '{"n": "5", "region": null}', '{green}', 'O''Brien'))";

TEST_CASE("filters select the rows they describe") {
  auto opened = storage::Connection::Open(testing::SharedPostgres().Conninfo());
  INFO(opened.status().ToString());
  REQUIRE(opened.ok());
  storage::Connection& db = **opened;
  REQUIRE(db.Script(kTable).ok());

  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "1,2,3,4"},
      {"status = open", "1"},
      {"status != open", "2,3,4"},
      {"NOT status = open", "2,3,4"},
      {"status = \"op*\"", "1,4"},
      {"status = \"op\\*n\"", "4"},
      {"status = \"100%\"", "2"},
      {"status = \"1%*\"", ""},
      {"status = \"100%*\"", "2"},
      {"status != \"op*\"", "2,3"},
      {"status:PE", "1"},
      {"status:*", "1,2,4"},
      {"status:\"%\"", "2"},
      {"score > 0.4", "1,4"},
      {"score >= 0.5 score < 0.9", "4"},
      {"score:*", "1,2,4"},
      {"row = 9007199254740993", "4"},
      {"row < 0", "2"},
      {"muted = false", "2,4"},
      {"muted != false", "1,3"},
      {"create_time >= 2024-06-01", "2,4"},
      {"create_time < \"2024-05-01T02:00:00.5+02:00\"", "1"},
      {"age >= 90s", "2,4"},
      {"age = 7200s", "2"},
      {"severity >= MEDIUM", "2,3,4"},
      {"severity < MEDIUM OR severity > MEDIUM", "1,3,4"},
      {"severity > HIGH", ""},
      {"severity != high", "1,2"},
      {"id = 00000000-0000-4000-8000-000000000002", "2"},
      {"id != 00000000-0000-4000-8000-000000000002", "1,3,4"},
      {"metadata.region = west", "1"},
      {"metadata.region = \"*st\"", "1,2"},
      {"metadata.region != west", "2,3,4"},
      {"metadata.a.b = deep", "1"},
      {"metadata.n = 5", "1,2,4"},
      {"metadata.n > 4.5", "1,2"},
      {"metadata.n > 5", ""},
      {"metadata:l", "2"},
      {"metadata.l:x", "2"},
      {"metadata.region:*", "1,2"},
      {"metadata:*", "1,2,4"},
      {"tags:blue", "1"},
      {"tags:*", "1,4"},
      {"NOT tags:*", "2,3"},
      {"pump", "1"},
      {"-pump", "2,3,4"},
      {"\"o'brien\"", "4"},
      {"(muted = true OR status = \"100%\") AND score < 0.5", "2"},
  };
  for (const auto& [filter, expected] : cases) {
    INFO(filter);
    const auto sql = FilterToSql(filter, StoredSchema(), 2);
    INFO(sql.status().ToString());
    REQUIRE(sql.ok());
    storage::Params params = {"unused"};
    for (const std::string& value : sql->params) params.emplace_back(value);
    const auto result = db.Exec(
        fmt::format(
            "select coalesce(string_agg(n::text, ',' order by n), '') from t where $1::text is not null and ({})",
            sql->where),
        params);
    INFO(sql->where << " " << result.status().ToString());
    REQUIRE(result.ok());
    CHECK((*result)[0].Text(0) == expected);
  }
}

}  // namespace
}  // namespace vedette::runtime
