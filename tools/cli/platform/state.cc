#include "cli/platform/state.h"

#include <signal.h>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "runtime/client.h"

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
  const auto channel = runtime::MakeChannel(address);
  if (!channel.ok()) return "down";
  const absl::Status status = runtime::CheckHealth(*channel, std::string(proto_service), absl::Seconds(2));
  if (status.ok()) return "SERVING";
  // The server's own answer names its state; anything else means that nobody answered.
  return Message(status).find("not serving") == std::string_view::npos ? "down" : "NOT_SERVING";
}

}  // namespace vedette::cli
