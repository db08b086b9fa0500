#include <catch2/catch.hpp>

#include "base/status.h"
#include "runtime/filter.h"
#include "runtime/status.h"

namespace vedette::runtime {
namespace {

const FilterSchema& Schema() {
  static const FilterSchema schema{
      .fields = {{"status", "a.status"},
                 {"score", "a.score", FilterField::Type::kNumber},
                 {"row", "a.row_index", FilterField::Type::kInteger},
                 {"muted", "a.muted", FilterField::Type::kBool},
                 {"create_time", "a.created", FilterField::Type::kTimestamp},
                 {"age", "a.age", FilterField::Type::kDuration},
                 {"severity", "a.severity", FilterField::Type::kEnum, {"LOW", "MEDIUM", "HIGH"}, {"1", "2", "3"}},
                 {"id", "a.id", FilterField::Type::kUuid},
                 {"metadata", "a.metadata", FilterField::Type::kJson},
                 {"subject.name", "a.subject", FilterField::Type::kString},
                 {"tags", "a.tags", FilterField::Type::kStringArray}},
      .search_sql = {"a.title", "a.text"}};
  return schema;
}

struct Rendered {
  std::string where;
  std::vector<std::string> params;
};

Rendered Sql(std::string_view text, int first = 1) {
  auto sql = FilterToSql(text, Schema(), first);
  INFO(text << ": " << sql.status().ToString());
  REQUIRE(sql.ok());
  return {sql->where, sql->params};
}

std::string Error(std::string_view text) {
  auto sql = FilterToSql(text, Schema());
  INFO(text);
  REQUIRE_FALSE(sql.ok());
  CHECK(sql.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(GetFieldViolations(sql.status()).at(0).field == "filter");
  return std::string(Message(sql.status()));
}

using Params = std::vector<std::string>;

TEST_CASE("comparisons become typed bind parameters") {
  CHECK(Sql("").where == "TRUE");
  CHECK(Sql("  \n").where == "TRUE");
  CHECK(Sql("status = open").where == "a.status = $1::text");
  CHECK(Sql("status=\"open\"", 4).where == "a.status = $4::text");
  CHECK(Sql("status='it\\'s'").params == Params{"it's"});
  CHECK(Sql("status != open").where == "a.status IS DISTINCT FROM $1::text");
  CHECK(Sql("score >= -0.5").where == "a.score >= $1::float8");
  CHECK(Sql("score >= -0.5").params == Params{"-0.5"});
  CHECK(Sql("row < 10").where == "a.row_index < $1::bigint");
  CHECK(Sql("muted = true").where == "a.muted = $1::boolean");
  CHECK(Sql("age > 90s").where == "a.age > make_interval(secs => $1::float8)");
  CHECK(Sql("id = 0189c8a0-1111-7000-8000-000000000001").where == "a.id = $1::uuid");
  CHECK(Sql("subject.name = x").where == "a.subject = $1::text");
  CHECK(Sql("tags:blue").where == "$1::text = ANY(a.tags)");
}

TEST_CASE("times are normalised to UTC") {
  CHECK(Sql("create_time > \"2024-05-01T02:00:00+02:00\"").params == Params{"2024-05-01T00:00:00.000000Z"});
  CHECK(Sql("create_time > 2024-05-01T00:00:00Z").params == Params{"2024-05-01T00:00:00.000000Z"});
  CHECK(Sql("create_time < 2024-05-01").where == "a.created < $1::timestamptz");
  for (const char* bad : {"yesterday", "infinite-future", "2024-13-01", "20240501", "99999-01-01"}) {
    Error(std::string("create_time > \"") + bad + "\"");
  }
}

TEST_CASE("AND, OR and NOT: OR binds tighter, side by side means AND") {
  CHECK(Sql("status = a AND status = b OR status = c").where ==
        "(a.status = $1::text) AND ((a.status = $2::text) OR (a.status = $3::text))");
  CHECK(Sql("status = a status = b").where == "(a.status = $1::text) AND (a.status = $2::text)");
  CHECK(Sql("(status = a AND status = b) OR status = c").where ==
        "((a.status = $1::text) AND (a.status = $2::text)) OR (a.status = $3::text)");
  CHECK(Sql("NOT status = a").where == "(a.status = $1::text) IS NOT TRUE");
  CHECK(Sql("-status = a").where == Sql("NOT status = a").where);
  CHECK(Sql("NOT (status = a OR muted = true)").where ==
        "((a.status = $1::text) OR (a.muted = $2::boolean)) IS NOT TRUE");
  CHECK(Sql("status = AND").params == Params{"AND"});
  CHECK(Sql("status = ORANGE OR status = b").params == Params{"ORANGE", "b"});
}

TEST_CASE("wildcards, has, presence and search") {
  CHECK(Sql("status = \"op*\"").where == "a.status LIKE $1::text");
  CHECK(Sql("status = \"op*\"").params == Params{"op%"});
  CHECK(Sql("status = \"100%_\\\\*\"").params == Params{"100\\%\\_\\\\%"});
  CHECK(Sql("status = \"a\\*\"").params == Params{"a*"});
  CHECK(Sql("status != \"op*\"").where == "(a.status LIKE $1::text) IS NOT TRUE");
  CHECK(Sql("status:pe").where == "a.status ILIKE $1::text");
  CHECK(Sql("status:pe").params == Params{"%pe%"});
  CHECK(Sql("status:*").where == "a.status <> ''");
  CHECK(Sql("score:*").where == "a.score IS NOT NULL");
  CHECK(Sql("tags:*").where == "cardinality(a.tags) > 0");
  CHECK(Sql("pump -valve").where ==
        "(a.title ILIKE $1::text OR a.text ILIKE $1::text) AND "
        "((a.title ILIKE $2::text OR a.text ILIKE $2::text) IS NOT TRUE)");
  CHECK(Sql("\"50%\"").params == Params{"%50\\%%"});
}

TEST_CASE("enums are compared in their order") {
  CHECK(Sql("severity >= MEDIUM").where == "a.severity IN ($1, $2)");
  CHECK(Sql("severity >= medium").params == Params{"2", "3"});
  CHECK(Sql("severity > HIGH").where == "FALSE");
  CHECK(Sql("severity != LOW").where == "(a.severity IN ($1)) IS NOT TRUE");
  CHECK(Error("severity = HUGE").find("LOW, MEDIUM, HIGH") != std::string::npos);
}

TEST_CASE("JSON objects: keys are bind parameters too") {
  CHECK(Sql("metadata.region = west").where == "(a.metadata ->> $1::text) = $2::text");
  CHECK(Sql("metadata.region = west").params == Params{"region", "west"});
  CHECK(Sql("metadata.a.b = \"w*\"").where == "(a.metadata -> $1::text ->> $2::text) LIKE $3::text");
  CHECK(Sql("metadata.n > 5").where.find("jsonb_typeof") != std::string::npos);
  CHECK(Sql("metadata:region").where == "jsonb_exists(a.metadata, $1::text)");
  CHECK(Sql("metadata.region:*").where == "(a.metadata ->> $1::text) IS NOT NULL");
}

TEST_CASE("no text of a value ever reaches the SQL") {
  const std::string evil = "x'; DROP TABLE a; --";
  for (const std::string& text : {"status = \"" + evil + "\"", "status:\"" + evil + "\"", "\"" + evil + "\"",
                                  "metadata:\"" + evil + "\"", "metadata.k = \"" + evil + "\"", "tags:\"" + evil + "\""}) {
    const Rendered sql = Sql(text);
    CHECK(sql.where.find("DROP") == std::string::npos);
    CHECK(sql.params.back().find("DROP") != std::string::npos);
  }
}

TEST_CASE("filters that are refused say where and why") {
  CHECK(Error("statsu = open").find("did you mean status?") != std::string::npos);
  CHECK(Error("nonsense = 1").find("fields: status") != std::string::npos);
  CHECK(Error("score = 0.5 AND row = x").find("at character 17") != std::string::npos);
  for (const char* bad :
       {"(", ")", "status =", "= open", "status = \"open", "status = (a OR b)", "status = a AND", "AND status = a", "NOT",
        "status = a OR", "a..b = 1", "score = abc", "score = inf", "score = nan", "score = 1e999", "row = 1.5",
        "muted = yes", "muted < true", "id = 1234", "age = 90", "tags = blue", "status < \"a*\"", "metadata = 1",
        "status == open", "f(x)", "status = a ! b", "severity = \"\""}) {
    Error(bad);
  }
}

TEST_CASE("filters are bounded") {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "(";
  Error(deep + "status = a");
  std::string wide = "row = 1";
  for (int i = 0; i < 150; ++i) wide += " row = 1";
  Error(wide);
  Error("status = \"" + std::string(5000, 'a') + "\"");
  Error(std::string("status = \"a\0b\"", 14));
}

TEST_CASE("any text gives a filter or an error, never more") {
  // Every short combination of the pieces of the grammar.
  const std::vector<std::string> pieces = {"status", " = ", "\"", "(", ")", " AND ", " OR ", "NOT ", "-", "*", ":", "\\", "1"};
  for (const auto& a : pieces)
    for (const auto& b : pieces)
      for (const auto& c : pieces)
        for (const auto& d : pieces) {
          const auto sql = FilterToSql(a + b + c + d, Schema());
          if (!sql.ok()) REQUIRE(sql.status().code() == absl::StatusCode::kInvalidArgument);
        }
}

TEST_CASE("nearest names") {
  const std::vector<std::string> names = {"status", "score", "severity"};
  CHECK(NearestName("staus", names) == "status");
  CHECK(NearestName("SCORE", names) == "score");
  CHECK(NearestName("banana", names).empty());
  CHECK(NearestName("", names).empty());
}

}  // namespace
}  // namespace vedette::runtime
