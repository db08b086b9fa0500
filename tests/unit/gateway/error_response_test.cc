#include "services/gateway/adapters/error_response.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "runtime/status.h"
#include "services/gateway/core/http_status.h"

namespace vedette::gateway {

using nlohmann::json;

TEST_CASE("codes are mapped as google/rpc/code.proto says", "[gateway]") {
  CHECK(HttpStatus(absl::StatusCode::kNotFound) == 404);
  CHECK(HttpStatus(absl::StatusCode::kFailedPrecondition) == 400);
  CHECK(HttpStatus(absl::StatusCode::kCancelled) == 499);
  CHECK(HttpStatus(static_cast<absl::StatusCode>(99)) == 500);
  CHECK(CodeName(absl::StatusCode::kUnauthenticated) == "UNAUTHENTICATED");
}

TEST_CASE("an error carries its details", "[gateway]") {
  const json error = json::parse(ErrorJson(runtime::InvalidField("page_size", "below 0")))["error"];
  CHECK(error["code"] == 400);
  CHECK(error["status"] == "INVALID_ARGUMENT");
  CHECK(error["message"] == "page_size: below 0");
  REQUIRE(error["details"].size() == 1);
  CHECK(error["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest");
  CHECK(error["details"][0]["fieldViolations"][0]["field"] == "page_size");
}

TEST_CASE("internal errors say an id and no more, and keep the id of the service", "[gateway]") {
  const json own = json::parse(ErrorJson(absl::InternalError("SELECT secret")))["error"];
  CHECK(own["message"].get<std::string>().find("secret") == std::string::npos);
  CHECK(own["details"][0]["reason"] == "INTERNAL_ERROR");
  const absl::Status of_service = runtime::WithReason(absl::InternalError("internal error; quote this id: 17"),
                                                      "INTERNAL_ERROR", {{"error_id", "17"}});
  CHECK(json::parse(ErrorJson(of_service))["error"]["details"][0]["metadata"]["error_id"] == "17");
}

TEST_CASE("headers that go with an error", "[gateway]") {
  httplib::Response busy;
  SetError(busy, runtime::WithRetryDelay(absl::UnavailableError("later"), absl::Milliseconds(2500)));
  CHECK(busy.status == 503);
  CHECK(busy.get_header_value("Retry-After") == "3");
  httplib::Response stranger;
  SetError(stranger, absl::UnauthenticatedError("no"));
  CHECK(stranger.status == 401);
  CHECK(stranger.get_header_value("WWW-Authenticate").find("Bearer") == 0);
  httplib::Response large;
  SetError(large, absl::ResourceExhaustedError("too large"), 413);
  CHECK(large.status == 413);
  CHECK_FALSE(large.has_header("Retry-After"));
}

}  // namespace vedette::gateway
