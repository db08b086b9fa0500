// Between HTTP and protobuf. JSON is proto3's (https://protobuf.dev/programming-guides/proto3/#json): 64-bit integers
// are strings, enums are names, times are RFC 3339. Decisions of ours:
// - answers name fields as the protos do (anomaly_score), and show every field but unset messages and unset
// `optional`s;
// - requests may name them in snake_case or lowerCamelCase; a name that is not known is an error, never ignored.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/type_resolver.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/gateway/adapters/api.h"

namespace vedette::gateway {

using NamedValues = std::vector<std::pair<std::string, std::string>>;

/// Thread-safe. `api` must outlive it.
class Transcoder {
 public:
  explicit Transcoder(const Api& api);

  /// The serialized request. `variables` are of the path (they win over the body), `query` of the query string, `body`
  /// is JSON or empty. INVALID_ARGUMENT with all violations.
  absl::StatusOr<std::string> Request(const Binding& binding, const NamedValues& variables, const NamedValues& query,
                                      std::string_view body) const;
  /// JSON, one line.
  absl::StatusOr<std::string> Response(const Binding& binding, const std::string& message) const;
  /// JSON of any message of the API.
  absl::StatusOr<std::string> ToJson(const google::protobuf::Descriptor& type, const std::string& message) const;

 private:
  absl::Status ReadBody(std::string_view body, google::protobuf::Message* message) const;

  std::unique_ptr<google::protobuf::util::TypeResolver> types_;
  mutable google::protobuf::DynamicMessageFactory factory_;
};

/// Sets a field of `message` from text, as query parameters do: "page_size", "detector.algorithm"; a repeated field
/// gets one more value. The path may be snake_case or lowerCamelCase.
absl::Status SetFieldFromText(google::protobuf::Message* message, std::string_view path, const std::string& value);

}  // namespace vedette::gateway
