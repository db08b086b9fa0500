#include "backend_app.h"
#include "services/gateway/adapters/api.h"

namespace vedette::gateway {

TEST_CASE("every RPC with an http rule asks for a token", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client({});
  const auto api = Api::LoadBuiltIn();
  REQUIRE(api.ok());
  int asked = 0;
  for (const Binding& binding : (*api)->bindings()) {
    std::string path;
    for (const PathSegment& segment : binding.path.segments)
      path += "/" + (segment.kind == PathSegment::kLiteral ? segment.literal : "x");
    if (!binding.path.verb.empty()) path += ":" + binding.path.verb;
    httplib::Request request;
    request.method = binding.http_method;
    request.path = path;
    const auto answer = client.send(request);
    INFO(binding.http_method << " " << path);
    REQUIRE(answer);
    CHECK(answer->status == 401);
    CHECK(answer->get_header_value("WWW-Authenticate") == "Bearer realm=\"vedette\"");
    CHECK(Error(answer)["status"] == "UNAUTHENTICATED");
    ++asked;
  }
  CHECK(asked >= 40);
  CHECK(client.Post("/v1/datasets:upload", "a,b\n1,2\n", "text/csv")->status == 401);
}

TEST_CASE("tokens that are wrong, expired, or not allowed to", "[gateway]") {
  TestGateway gateway;
  const auto with = [&](const std::string& header) {
    return gateway.Client({}).Get("/v1/jobs/1", httplib::Headers{{"Authorization", header}});
  };
  CHECK(Error(with("Bearer nonsense"))["code"] == 401);
  CHECK(with("Bearer nonsense")->get_header_value("WWW-Authenticate").find("invalid_token") != std::string::npos);
  CHECK(Error(with("Basic dTpw"))["details"][0]["reason"] == "TOKEN_MISSING");
  CHECK(Error(with("Bearer " + gateway.keys.Token("acme", {"operator"}, absl::Hours(-1))))["details"][0]["reason"] ==
        "TOKEN_EXPIRED");
  const testing::Keys strangers;
  CHECK(with("Bearer " + strangers.Token("acme", {"operator"}))->status == 401);
  CHECK(with("bearer " + gateway.keys.Token("acme", {"viewer"}))->status == 200);
  CHECK(Error(gateway.Client({"viewer"}).Post("/v1/datasets/1:analyze", "{}", "application/json"))["status"] ==
        "PERMISSION_DENIED");
  CHECK(Error(gateway.Client({"nobody"}).Get("/v1/jobs/1"))["code"] == 403);
}

TEST_CASE("what identifies a caller is passed on, and what claims to is not", "[gateway]") {
  TestGateway gateway;
  const httplib::Headers headers = {{"X-Request-Id", "abc-1"},
                                    {"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                                    {"X-Vedette-Tenant", "other"},
                                    {"Grpc-Metadata-X-Vedette-Tenant", "other"},
                                    {"Grpc-Timeout", "1n"}};
  auto client = gateway.Client();
  const auto answer = client.Get("/v1/jobs/1", headers);
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->get_header_value("X-Request-Id") == "abc-1");
  CHECK(gateway.seen.request_id == "abc-1");
  CHECK(gateway.seen.trace_id == "0af7651916cd43dd8448eb211c80319c");
  CHECK(gateway.seen.tenant == "acme");
  CHECK_FALSE(gateway.seen.token.empty());
  const auto fresh = client.Get("/v1/jobs/1", httplib::Headers{{"X-Request-Id", "two words"}});
  CHECK(fresh->get_header_value("X-Request-Id").size() == 36);
}

}  // namespace vedette::gateway
