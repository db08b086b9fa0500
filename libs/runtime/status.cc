#include "runtime/status.h"

#include <absl/strings/cord.h>
#include <absl/types/optional.h>
#include <grpcpp/support/status.h>

#include <algorithm>

#include "base/ids.h"
#include "base/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/error_info.pb.h"
#include "google/rpc/status.pb.h"
#include "runtime/log.h"

namespace vedette::runtime {
namespace {

constexpr std::string_view kTypePrefix = "type.googleapis.com/";
constexpr size_t kMaxDetails = 6 << 10;  // details travel in a trailer; gRPC's default limit for all metadata is 8 KiB

template <typename Detail>
std::string TypeUrl() {
  return std::string(kTypePrefix) + Detail::descriptor()->full_name();
}

template <typename Detail>
bool GetDetail(const absl::Status& status, Detail* detail) {
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl<Detail>());
  return payload.has_value() && detail->ParseFromString(std::string(*payload));
}

template <typename Detail>
void SetDetail(const Detail& detail, absl::Status* status) {
  status->SetPayload(TypeUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

/// At most `limit` bytes, not cutting a UTF-8 character. gRPC percent-encodes the rest as needed.
std::string Truncate(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

bool HidesText(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss;
}

}  // namespace

absl::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  if (violations.empty()) return absl::OkStatus();
  google::rpc::BadRequest detail;
  std::string message;
  for (const FieldViolation& v : violations) {
    if (!message.empty()) message += "; ";
    message += v.field.empty() ? v.description : fmt::format("{}: {}", v.field, v.description);
    if (detail.field_violations_size() >= 100) continue;
    google::rpc::BadRequest::FieldViolation* out = detail.add_field_violations();
    out->set_field(v.field);
    out->set_description(v.description);
  }
  absl::Status status = absl::InvalidArgumentError(message);
  SetDetail(detail, &status);
  return status;
}

absl::Status InvalidField(std::string_view field, std::string_view description) {
  return InvalidFields({{std::string(field), std::string(description)}});
}

absl::Status WithReason(absl::Status status, std::string_view reason,
                        const std::map<std::string, std::string>& metadata) {
  if (status.ok()) return status;
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(std::string(kErrorDomain));
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[key] = value;
  SetDetail(info, &status);
  return status;
}

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  if (status.ok()) return status;
  google::rpc::RetryInfo info;
  const int64_t nanos = absl::ToInt64Nanoseconds(delay);
  info.mutable_retry_delay()->set_seconds(nanos / 1'000'000'000);
  info.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  SetDetail(info, &status);
  return status;
}

std::vector<FieldViolation> GetFieldViolations(const absl::Status& status) {
  std::vector<FieldViolation> out;
  google::rpc::BadRequest detail;
  if (!GetDetail(status, &detail)) return out;
  for (const auto& v : detail.field_violations()) out.push_back({v.field(), v.description()});
  return out;
}

std::string GetReason(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  return GetDetail(status, &info) ? info.reason() : std::string();
}

std::map<std::string, std::string> GetReasonMetadata(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  if (!GetDetail(status, &info)) return {};
  return {info.metadata().begin(), info.metadata().end()};
}

absl::Duration GetRetryDelay(const absl::Status& status) {
  google::rpc::RetryInfo info;
  if (!GetDetail(status, &info)) return absl::ZeroDuration();
  return absl::Seconds(info.retry_delay().seconds()) + absl::Nanoseconds(info.retry_delay().nanos());
}

grpc::Status ToGrpcStatus(const absl::Status& input) {
  if (input.ok()) return grpc::Status::OK;
  absl::Status status = input;
  if (HidesText(status.code())) {
    const std::string id = NewUuid();
    LogError("internal error", {{"error_id", id}, {"code", static_cast<int>(status.code())}, {"error", Message(status)}});
    status = WithReason(absl::Status(status.code(), fmt::format("internal error; quote this id to the operator: {}", id)),
                        "INTERNAL_ERROR", {{"error_id", id}});
  }
  if ((status.code() == absl::StatusCode::kResourceExhausted || status.code() == absl::StatusCode::kUnavailable) &&
      !status.GetPayload(TypeUrl<google::rpc::RetryInfo>()).has_value()) {
    status = WithRetryDelay(std::move(status), absl::Seconds(1));
  }
  google::rpc::Status detail;
  detail.set_code(static_cast<int>(status.code()));
  detail.set_message(Truncate(Message(status), kMaxStatusMessage));
  size_t size = detail.ByteSizeLong();
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    const std::string_view type(url.data(), url.size());
    if (!type.starts_with(kTypePrefix) || size + payload.size() + type.size() > kMaxDetails) return;
    size += payload.size() + type.size();
    google::protobuf::Any* any = detail.add_details();
    any->set_type_url(std::string(type));
    any->set_value(std::string(payload));
  });
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), detail.message(), detail.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status detail;
  if (!status.error_details().empty() && detail.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& any : detail.details()) {
      if (any.type_url().starts_with(kTypePrefix)) out.SetPayload(any.type_url(), absl::Cord(any.value()));
    }
  }
  return out;
}

}  // namespace vedette::runtime
