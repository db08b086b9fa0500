#include "cli/platform/state.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/status.h"

namespace vedette::cli {
namespace {

using Json = nlohmann::ordered_json;

PlatformState Parse(const Json& j) {
  PlatformState s;
  s.phase = j.value("phase", "");
  s.step = j.value("step", "");
  s.error = j.value("error", "");
  s.supervisor = j.value("supervisor", -1);
  s.rest = j.value("rest", "");
  s.postgres_port = j.value("postgres_port", 0);
  s.postgres_pid = j.value("postgres_pid", -1);
  s.nats_port = j.value("nats_port", 0);
  s.nats_pid = j.value("nats_pid", -1);
  for (const Json& service : j.value("services", Json::array())) {
    s.services.push_back({.name = service.value("name", ""),
                          .pid = service.value("pid", -1),
                          .address = service.value("address", ""),
                          .metrics = service.value("metrics", ""),
                          .restarts = service.value("restarts", 0)});
  }
  return s;
}

}  // namespace

absl::Status WriteState(const Home& home, const PlatformState& s) {
  Json j = {{"phase", s.phase},       {"step", s.step},
            {"error", s.error},       {"supervisor", s.supervisor},
            {"rest", s.rest},         {"postgres_port", s.postgres_port},
            {"postgres_pid", s.postgres_pid}, {"nats_port", s.nats_port},
            {"nats_pid", s.nats_pid}, {"services", Json::array()}};
  for (const ServiceState& service : s.services) {
    j["services"].push_back({{"name", service.name}, {"pid", service.pid}, {"address", service.address},
                             {"metrics", service.metrics}, {"restarts", service.restarts}});
  }
  return WritePrivate(home.State(), j.dump(1) + "\n");
}

absl::StatusOr<PlatformState> LastState(const Home& home) {
  ASSIGN_OR_RETURN(const std::string text, ReadWhole(home.State()));
  const Json j = Json::parse(text, nullptr, false);
  if (!j.is_object()) return DataLoss("{} cannot be read", home.State());
  return Parse(j);
}

absl::StatusOr<PlatformState> ReadState(const Home& home) {
  const absl::StatusOr<PlatformState> state = LastState(home);
  if (!state.ok() || state->supervisor <= 0 || ::kill(state->supervisor, 0) != 0) {
    return FailedPrecondition("no platform is running in {}; 'vedette up' starts one", home.root);
  }
  return *state;
}

std::string Health(const std::string& address, std::string_view proto_service) {
  // grpc.health.v1.Health/Check by hand: the request is one string (field 1), the answer one enum (field 1).
  std::string request;
  if (!proto_service.empty()) request = fmt::format("\x0a{}{}", static_cast<char>(proto_service.size()), proto_service);
  const grpc::Slice slice(request);
  const grpc::ByteBuffer bytes(&slice, 1);
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  grpc::CompletionQueue queue;
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", bytes, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return "down";
  std::vector<grpc::Slice> slices;
  if (!response.Dump(&slices).ok()) return "down";
  std::string text;
  for (const grpc::Slice& s : slices) text.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return text == std::string("\x08\x01", 2) ? "SERVING" : "NOT_SERVING";
}

}  // namespace vedette::cli
