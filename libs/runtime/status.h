// absl::Status inside, google.rpc.Status on the wire: the one place where they are translated, in both directions.
// Details travel as payloads of the absl::Status whose type URL is the message's ("type.googleapis.com/google.rpc.*").
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace grpc {
class Status;
}

namespace vedette::runtime {

/// Domain of every ErrorInfo of ours (AIP-193).
inline constexpr std::string_view kErrorDomain = "vedette";
/// Longest message that leaves a server, in bytes (gRPC sends it in a header).
inline constexpr size_t kMaxStatusMessage = 1024;

struct FieldViolation {
  std::string field;        ///< path in the request, "detector.parameters[2].value"
  std::string description;  ///< what is wrong and what would be right
};

/// INVALID_ARGUMENT with a google.rpc.BadRequest that lists every violation; OK when there is none.
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);
/// The same for one field.
absl::Status InvalidField(std::string_view field, std::string_view description);
/// Adds a google.rpc.ErrorInfo: reason in UPPER_SNAKE_CASE, for programs to switch on. OK stays OK.
absl::Status WithReason(absl::Status status, std::string_view reason,
                        const std::map<std::string, std::string>& metadata = {});
/// Adds a google.rpc.RetryInfo. RESOURCE_EXHAUSTED and UNAVAILABLE without one get 1 s when they are sent.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);

/// What a status carries; empty when it carries none.
std::vector<FieldViolation> GetFieldViolations(const absl::Status& status);
std::string GetReason(const absl::Status& status);
std::map<std::string, std::string> GetReasonMetadata(const absl::Status& status);
/// Zero when there is no RetryInfo.
absl::Duration GetRetryDelay(const absl::Status& status);

/// For clients of ours. Message cut to kMaxStatusMessage at a character's border; INTERNAL, UNKNOWN and DATA_LOSS hide
/// their text behind an error id, which is logged together with the text.
grpc::Status ToGrpcStatus(const absl::Status& status);
/// What a server answered, with its details as payloads. Never loses the code.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace vedette::runtime
