#include <grpcpp/support/status.h>

#include <catch2/catch.hpp>

#include "google/rpc/status.pb.h"
#include "base/status.h"
#include "runtime/log.h"
#include "runtime/status.h"

namespace vedette::runtime {
namespace {

std::string logged;

TEST_CASE("every code goes over the wire and comes back") {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status wire = ToGrpcStatus(status);
    CHECK(static_cast<int>(wire.error_code()) == code);
    CHECK(FromGrpcStatus(wire).code() == status.code());
  }
  CHECK(ToGrpcStatus(absl::OkStatus()).ok());
  CHECK(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST_CASE("field violations, reasons and retry delays survive the wire") {
  absl::Status status = InvalidFields({{"a.b", "must be positive"}, {"c", "is missing"}});
  CHECK(Message(status) == "a.b: must be positive; c: is missing");
  status = WithReason(std::move(status), "BAD_DETECTOR", {{"detector", "d1"}});
  const absl::Status back = FromGrpcStatus(ToGrpcStatus(status));
  CHECK(back.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(GetFieldViolations(back).size() == 2);
  CHECK(GetFieldViolations(back)[1].field == "c");
  CHECK(GetReason(back) == "BAD_DETECTOR");
  CHECK(GetReasonMetadata(back)["detector"] == "d1");
  CHECK(GetRetryDelay(back) == absl::ZeroDuration());
  CHECK(InvalidFields({}).ok());

  const absl::Status busy = FromGrpcStatus(ToGrpcStatus(WithRetryDelay(absl::UnavailableError("x"), absl::Milliseconds(2500))));
  CHECK(GetRetryDelay(busy) == absl::Milliseconds(2500));
}

TEST_CASE("what may be tried again says when") {
  CHECK(GetRetryDelay(FromGrpcStatus(ToGrpcStatus(absl::ResourceExhaustedError("full")))) == absl::Seconds(1));
  CHECK(GetRetryDelay(FromGrpcStatus(ToGrpcStatus(absl::UnavailableError("down")))) == absl::Seconds(1));
  CHECK(GetRetryDelay(FromGrpcStatus(ToGrpcStatus(absl::NotFoundError("no")))) == absl::ZeroDuration());
}

TEST_CASE("internal errors hide their text, and the log has it under the same id") {
  logged.clear();
  SetLogSink([](std::string_view line) { logged += line; });
  const absl::Status back = FromGrpcStatus(ToGrpcStatus(absl::InternalError("relation \"secrets\" does not exist")));
  SetLogSink(nullptr);
  CHECK(back.code() == absl::StatusCode::kInternal);
  CHECK(Message(back).find("secrets") == std::string_view::npos);
  const std::string id = GetReasonMetadata(back)["error_id"];
  REQUIRE_FALSE(id.empty());
  CHECK(Message(back).find(id) != std::string_view::npos);
  CHECK(logged.find(id) != std::string::npos);
  CHECK(logged.find("secrets") != std::string::npos);
}

TEST_CASE("long messages are cut at a character, and many details stay within a header") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "\xc3\xa9";  // é
  const grpc::Status wire = ToGrpcStatus(absl::InvalidArgumentError(text));
  CHECK(wire.error_message().size() <= kMaxStatusMessage);
  CHECK(wire.error_message().ends_with("\xc3\xa9..."));

  std::vector<FieldViolation> many(5000, {"some.field.with.a.name", "has something wrong with it"});
  const grpc::Status big = ToGrpcStatus(InvalidFields(many));
  CHECK(big.error_details().size() < 8000);
  CHECK(FromGrpcStatus(big).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("details that are not ours are passed on or ignored, never fatal") {
  const grpc::Status garbage(grpc::StatusCode::NOT_FOUND, "no", "\xff\xff not a proto");
  CHECK(FromGrpcStatus(garbage).code() == absl::StatusCode::kNotFound);
  absl::Status odd = absl::NotFoundError("no");
  odd.SetPayload("type.googleapis.com/google.rpc.BadRequest", absl::Cord("\xff"));
  CHECK(GetFieldViolations(odd).empty());
}

}  // namespace
}  // namespace vedette::runtime
