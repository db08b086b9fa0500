#include "backend_app.h"

namespace vedette::gateway {

using nlohmann::json;

TEST_CASE("calls of services as REST", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();

  const auto job = client.Post("/v1/datasets/7:analyze", R"({"detector":{"algorithm":"ecod"},"chunk_rows":10})",
                               "application/json; charset=utf-8");
  REQUIRE(job);
  CHECK(job->status == 200);
  CHECK(job->get_header_value("Content-Type") == "application/json");
  const json body = json::parse(job->body);
  CHECK(body["name"] == "jobs/1");
  CHECK(body["state"] == "PENDING");
  CHECK(body["rows_scored"] == "0");
  CHECK(gateway.seen.analyze.dataset() == "datasets/7");
  CHECK(gateway.seen.analyze.detector().algorithm() == "ecod");
  CHECK(gateway.seen.analyze.chunk_rows() == 10);

  const auto list = client.Get("/v1/anomalies?filter=severity%20%3E%3D%20HIGH&page_size=3");
  REQUIRE(list);
  CHECK(gateway.seen.list.filter() == "severity >= HIGH");
  CHECK(json::parse(list->body)["anomalies"].size() == 3);
  CHECK(json::parse(list->body)["anomalies"][1]["anomaly_score"] == 1.5);

  CHECK(client.Post("/v1/datasets/7:analyze")->status == 200);  // an empty body is an empty message
  const auto head = client.Head("/v1/jobs/1");
  CHECK(head->status == 200);
  CHECK(head->body.empty());
  CHECK(client.Get("/v1/jobs/1", httplib::Headers{{"Range", "bytes=0-3"}})->body.size() > 10);  // never cut
}

TEST_CASE("errors as HTTP", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  json error = Error(client.Get("/v1/jobs/9"));
  CHECK(error["code"] == 404);
  CHECK(error["status"] == "NOT_FOUND");
  CHECK(error["details"][0]["reason"] == "JOB_NOT_FOUND");
  CHECK(error["details"][0]["metadata"]["name"] == "jobs/9");

  const auto busy = client.Get("/v1/jobs/busy");
  CHECK(busy->status == 429);
  CHECK(busy->get_header_value("Retry-After") == "7");
  error = Error(client.Get("/v1/jobs/bug"));
  CHECK(error["code"] == 500);
  CHECK(error["message"].get<std::string>().find("secret") == std::string::npos);
  CHECK(Error(client.Get("/v1/models/1"))["status"] == "UNIMPLEMENTED");  // the test's backend has no model cache

  error = Error(client.Get("/v1/anomalies?page_sise=5"));
  CHECK(error["code"] == 400);
  CHECK(error["details"][0]["fieldViolations"][0]["description"] == "unknown field; did you mean page_size?");
  CHECK(Error(client.Get("/v1/nothing"))["code"] == 404);
  CHECK(Error(client.Get("/v1/jobs/a%2Fb"))["code"] == 400);
  const auto wrong = client.Put("/v1/jobs/1", "{}", "application/json");
  CHECK(wrong->status == 405);
  CHECK(wrong->get_header_value("Allow") == "GET");
  CHECK(Error(client.Post("/v1/datasets/7:analyze", "x=1", "application/x-www-form-urlencoded"))["code"] == 415);
  CHECK(Error(client.Post("/v1/datasets/7:analyze", "{", "application/json"))["code"] == 400);
  CHECK(Error(client.Delete("/v1/datasets/7"))["code"] == 501);
  CHECK(client.Delete("/healthz")->status == 405);
}

TEST_CASE("a body beyond the limit is not read to its end", "[gateway]") {
  TestGateway gateway([](v1::Config& c) { c.mutable_http()->set_max_body_mb(1); });
  const std::string large = R"({"display_name":")" + std::string(3 << 20, 'x') + "\"}";
  const auto answer = gateway.Client().Post("/v1/datasets/7:analyze", large, "application/json");
  CHECK(Error(answer)["code"] == 413);
  CHECK(answer->get_header_value("Connection") == "close");
}

TEST_CASE("what is open needs no token", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client({});
  CHECK(client.Get("/healthz")->status == 200);
  CHECK(client.Get("/readyz")->status == 200);
  CHECK(json::parse(client.Get("/openapi.json")->body)["openapi"] == "3.0.3");
  const auto page = client.Get("/");
  CHECK(page->get_header_value("Content-Type") == "text/html; charset=utf-8");
  CHECK(page->get_header_value("X-Content-Type-Options") == "nosniff");
  CHECK(page->get_header_value("Content-Security-Policy").find("default-src 'none'") == 0);
  CHECK(client.Get("/healthz", httplib::Headers{{"Origin", "https://app.example.com"}})
            ->get_header_value("Access-Control-Allow-Origin")
            .empty());
}

TEST_CASE("browsers of allowed origins may call", "[gateway]") {
  TestGateway gateway([](v1::Config& c) { c.mutable_http()->add_cors_origins("https://app.example.com"); });
  auto client = gateway.Client({});
  const auto preflight = [&](const char* origin) {
    return client.Options("/v1/jobs/1", httplib::Headers{{"Origin", origin}, {"Access-Control-Request-Method", "GET"}});
  };
  const auto allowed = preflight("https://app.example.com");
  CHECK(allowed->status == 204);
  CHECK(allowed->get_header_value("Access-Control-Allow-Origin") == "https://app.example.com");
  CHECK(allowed->get_header_value("Access-Control-Allow-Methods").find("GET") != std::string::npos);
  CHECK(allowed->get_header_value("Vary") == "Origin");
  CHECK(preflight("https://evil.example.com")->get_header_value("Access-Control-Allow-Origin").empty());
  const auto call = client.Get("/v1/jobs/1", httplib::Headers{{"Origin", "https://app.example.com"}});
  CHECK(call->status == 401);  // the browser may read why
  CHECK(call->get_header_value("Access-Control-Allow-Origin") == "https://app.example.com");
}

TEST_CASE("requests are counted by template, not by path", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  for (int i = 0; i < 5; ++i) {
    client.Get(fmt::format("/v1/jobs/{}", i));
    client.Get(fmt::format("/v1/unknown{}", i));
  }
  // A request is counted when its answer has left, which the client may see sooner.
  const absl::Time end = absl::Now() + absl::Seconds(10);
  const auto counted = [&](const std::string& line) {
    bool found = false;
    while (!found && absl::Now() < end) found = gateway.app().metrics().Scrape().find(line) != std::string::npos;
    return found;
  };
  CHECK(counted(R"(http_requests_total{code="404",method="GET",route="/v1/{name=jobs/*}"} 4)"));
  CHECK(counted(R"(http_requests_total{code="404",method="GET",route="unmatched"} 5)"));
  CHECK(gateway.app().metrics().Scrape().find("/v1/unknown1") == std::string::npos);
}

TEST_CASE("a configuration that cannot work is refused", "[gateway]") {
  v1::Config config = DefaultConfig();
  CHECK(Validate(config).ok());
  config.mutable_http()->set_max_connections(0);
  config.mutable_http()->add_cors_origins("*");
  config.mutable_http()->mutable_tls()->set_cert_file("a");
  config.mutable_http()->set_static_directory("/nowhere/at/all");
  CHECK(runtime::GetFieldViolations(Validate(config)).size() == 4);

  const testing::Keys keys;
  config = DefaultConfig();
  *config.mutable_server() = keys.ServerConfig();
  config.mutable_http()->set_port(0);
  (*config.mutable_server()->mutable_endpoints())["ingest"] = "127.0.0.1:1";
  auto app = testing::MustCreate("gateway", config.server());
  const absl::Status status = BuildServer(config, *app).status();
  CHECK(std::string(status.message()).find("server.endpoints must name \"triage\"") != std::string::npos);
}

}  // namespace vedette::gateway
