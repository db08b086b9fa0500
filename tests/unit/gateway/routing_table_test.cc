#include "services/gateway/core/routing_table.h"

#include <catch2/catch.hpp>

#include "base/status.h"

namespace vedette::gateway {
namespace {

PathTemplate Parsed(std::string_view text) {
  auto path = PathTemplate::Parse(text);
  INFO(path.status().ToString());
  REQUIRE(path.ok());
  return *path;
}

void Add(RoutingTable& table, std::string_view method, std::string_view path, int route) {
  REQUIRE(table.Add(method, Parsed(path), route).ok());
}

using Values = std::vector<std::pair<std::string, std::string>>;

}  // namespace

TEST_CASE("templates are parsed by the grammar of google.api.http", "[gateway]") {
  const PathTemplate path = Parsed("/v1/{parent=shelves/*}/books/{id}:rename");
  CHECK(path.Shape() == "/v1/shelves/*/books/*:rename");
  REQUIRE(path.variables.size() == 2);
  CHECK(path.variables[0].field_path == "parent");
  CHECK(path.variables[0].begin == 1);
  CHECK(path.variables[0].end == 3);
  CHECK(path.variables[1].field_path == "id");
  CHECK(path.verb == "rename");
  CHECK(Parsed("/v1/{a.b=**}").Shape() == "/v1/**");
  for (const char* wrong :
       {"", "v1", "/", "/v1/", "/v1//a", "/v1/{", "/v1/{a", "/v1/{a=}", "/v1/{1a}", "/v1/{a.}", "/v1/{a}b",
        "/v1/{a={b}}", "/v1/**/x", "/v1/{a}/{a}", "/v1/a:", "/v1/a:b:c", "/v1/a b", "/v1/..", "/v1/{a=*"}) {
    INFO(wrong);
    CHECK(PathTemplate::Parse(wrong).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a path finds its route, its variables and its verb", "[gateway]") {
  RoutingTable table;
  Add(table, "GET", "/v1/{name=datasets/*}", 1);
  Add(table, "DELETE", "/v1/{name=datasets/*}", 2);
  Add(table, "POST", "/v1/{dataset=datasets/*}:analyze", 3);
  Add(table, "GET", "/v1/datasets", 4);
  Add(table, "POST", "/v1/datasets:upload", 5);
  Add(table, "POST", "/v1/{anomaly=anomalies/*}/feedback", 6);

  RouteMatch match = table.Match("GET", "/v1/datasets/7");
  CHECK(match.outcome == RouteMatch::kFound);
  CHECK(match.route == 1);
  CHECK(match.variables == Values{{"name", "datasets/7"}});
  match = table.Match("POST", "/v1/datasets/a%20b:analyze");
  CHECK(match.route == 3);
  CHECK(match.variables == Values{{"dataset", "datasets/a b"}});
  CHECK(table.Match("GET", "/v1/datasets").route == 4);
  CHECK(table.Match("POST", "/v1/datasets:upload").route == 5);
  CHECK(table.Match("POST", "/v1/anomalies/9/feedback").variables == Values{{"anomaly", "anomalies/9"}});
  CHECK(table.Match("GET", "/v1/%64atasets/7").route == 1);

  SECTION("a colon that begins no verb belongs to the id, and so does an encoded one") {
    CHECK(table.Match("GET", "/v1/datasets/a:b").variables == Values{{"name", "datasets/a:b"}});
    CHECK(table.Match("GET", "/v1/datasets/a%3Aanalyze").variables == Values{{"name", "datasets/a:analyze"}});
  }
  SECTION("the wrong method says which are right") {
    match = table.Match("PATCH", "/v1/datasets/7");
    CHECK(match.outcome == RouteMatch::kMethodNotAllowed);
    CHECK(match.allowed == std::vector<std::string>{"DELETE", "GET"});
    match = table.Match("GET", "/v1/datasets/7:analyze");
    CHECK(match.outcome == RouteMatch::kMethodNotAllowed);
    CHECK(match.allowed == std::vector<std::string>{"POST"});
  }
  SECTION("paths that lead nowhere") {
    for (const char* path :
         {"/v1", "/v1/dataset", "/v1/datasets/7/rows", "/v2/datasets", "/v1/datasets/7:upload", "/v1/anomalies/9"}) {
      INFO(path);
      CHECK(table.Match("GET", path).outcome == RouteMatch::kNotFound);
    }
  }
  SECTION("hostile paths") {
    for (const char* path :
         {"/v1/datasets/", "/v1//datasets", "//v1/datasets", "/v1/datasets/..", "/v1/datasets/%2e%2e",
          "/v1/datasets/a%2fb", "/v1/datasets/%00", "/v1/datasets/%zz", "/v1/datasets/%c0%af"}) {
      INFO(path);
      CHECK(table.Match("GET", path).outcome == RouteMatch::kBadPath);
    }
    CHECK(table.Match("GET", "v1/datasets").outcome == RouteMatch::kNotFound);
    std::string deep = "/v1";
    for (int i = 0; i < 5000; ++i) deep += "/a";
    CHECK(table.Match("GET", deep).outcome == RouteMatch::kBadPath);
  }
}

TEST_CASE("a literal goes before a wildcard, and the search turns back", "[gateway]") {
  RoutingTable table;
  Add(table, "GET", "/v1/{name=models/*}", 1);
  Add(table, "GET", "/v1/models/latest", 2);
  Add(table, "GET", "/v1/{a}/{b}/c", 3);
  Add(table, "GET", "/v1/models/latest/d", 4);
  Add(table, "GET", "/v1/{rest=**}", 5);
  CHECK(table.Match("GET", "/v1/models/7").route == 1);
  CHECK(table.Match("GET", "/v1/models/latest").route == 2);
  CHECK(table.Match("GET", "/v1/models/latest/c").route == 3);
  const RouteMatch rest = table.Match("GET", "/v1/x/y/z/w");
  CHECK(rest.route == 5);
  CHECK(rest.variables == Values{{"rest", "x/y/z/w"}});
}

TEST_CASE("two templates of the same shape conflict", "[gateway]") {
  RoutingTable table;
  Add(table, "GET", "/v1/{name=jobs/*}", 1);
  CHECK(table.Add("GET", Parsed("/v1/jobs/{id}"), 2).code() == absl::StatusCode::kAlreadyExists);
  CHECK(table.Add("DELETE", Parsed("/v1/jobs/{id}"), 2).ok());
  CHECK(table.Add("GET", Parsed("/v1/jobs/{id}:watch"), 3).ok());
}

}  // namespace vedette::gateway
