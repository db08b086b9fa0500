#include "services/gateway/adapters/error_response.h"

#include <absl/strings/cord.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/support/status.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/status.h"
#include "runtime/status.h"
#include "services/gateway/core/http_status.h"

namespace vedette::gateway {
namespace {

using nlohmann::json;

/// As the client may see it. What a service has hidden already keeps the id that the service has logged.
absl::Status Public(const absl::Status& status) {
  return runtime::GetReason(status) == "INTERNAL_ERROR" ? status
                                                        : runtime::FromGrpcStatus(runtime::ToGrpcStatus(status));
}

json Error(const absl::Status& input, int http_status) {
  const absl::Status status = Public(input);
  json details = json::array();
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    google::protobuf::Any any;
    any.set_type_url(std::string(url));
    any.set_value(std::string(payload));
    std::string text;
    if (!google::protobuf::util::MessageToJsonString(any, &text).ok()) return;  // of a type that we do not know
    details.push_back(json::parse(text, nullptr, false));
  });
  const absl::StatusCode code = status.code();
  return {{"error",
           {{"code", http_status == 0 ? HttpStatus(code) : http_status},
            {"status", CodeName(code)},
            {"message", std::string(Message(status))},
            {"details", details}}}};
}

}  // namespace

std::string ErrorJson(const absl::Status& status, int http_status) {
  return Error(status, http_status).dump(-1, ' ', false, json::error_handler_t::replace);
}

void SetError(httplib::Response& response, const absl::Status& status, int http_status) {
  const json body = Error(status, http_status);
  response.status = body["error"]["code"].get<int>();
  response.set_content(body.dump(-1, ' ', false, json::error_handler_t::replace), "application/json");
  const bool busy =
      status.code() == absl::StatusCode::kResourceExhausted || status.code() == absl::StatusCode::kUnavailable;
  absl::Duration delay = runtime::GetRetryDelay(status);
  if (busy && delay <= absl::ZeroDuration() && http_status == 0) delay = absl::Seconds(1);
  if (delay > absl::ZeroDuration()) {
    response.set_header("Retry-After", std::to_string(std::llround(std::ceil(absl::ToDoubleSeconds(delay)))));
  }
  if (response.status == 401) {
    response.set_header("WWW-Authenticate", runtime::GetReason(status) == "TOKEN_MISSING"
                                                ? "Bearer realm=\"vedette\""
                                                : "Bearer realm=\"vedette\", error=\"invalid_token\"");
  }
}

}  // namespace vedette::gateway
