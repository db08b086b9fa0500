// vedette status: is every part of the local platform well?
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/platform/state.h"
#include "cli/terminal.h"

namespace vedette::cli {
namespace {

constexpr Flag kFlags[] = {{.name = "format", .type = FlagType::kChoice, .value_name = "HOW", .default_value = "table", .choices = "table|json",
                            .doc = "how it is printed"}};

bool Alive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

std::string HealthOf(const ServiceState& service) {
  for (const ServiceInfo& info : Services()) {
    if (info.name == service.name) return Health(service.address, info.proto_service);
  }
  return "unknown";
}

absl::StatusOr<int> Run(const Args& args) {
  const Home home = Home::From(args);
  ASSIGN_OR_RETURN(const PlatformState state, ReadState(home));
  bool well = state.phase == "ready";
  Json json = {{"home", home.root}, {"phase", state.phase}, {"rest", state.rest}, {"services", Json::array()}};
  const bool table = args.Text("format") == "table";
  const bool colour = UseColour(STDOUT_FILENO);
  if (table) fmt::print("{} ({}), REST {}\n\n  {:<18}{:<14}{:<22}{:>8}{:>10}\n", home.root, state.phase, state.rest, "service", "health", "address", "pid", "restarts");
  const auto line = [&](const std::string& name, const std::string& health, const std::string& address, pid_t pid, int restarts) {
    const bool good = health == "SERVING" || health == "running";
    well = well && good;
    json["services"].push_back({{"name", name}, {"health", health}, {"address", address}, {"pid", pid}, {"restarts", restarts}});
    if (table) {
      fmt::print("  {:<18}{}{:<22}{:>8}{:>10}\n", name, Styled(fmt::format("{:<14}", health), good ? Style::kGreen : Style::kBoldRed, colour), address,
                 pid, restarts);
    }
  };
  for (const ServiceState& s : state.services) line(s.name, HealthOf(s), s.address, s.pid, s.restarts);
  line("PostgreSQL", Alive(state.postgres_pid) ? "running" : "down", fmt::format("127.0.0.1:{}", state.postgres_port), state.postgres_pid, 0);
  line("NATS", Alive(state.nats_pid) ? "running" : "down", fmt::format("127.0.0.1:{}", state.nats_port), state.nats_pid, 0);
  json["well"] = well;
  if (!table) fmt::print("{}\n", Dump(json, 2));
  return well ? kOk : kFailed;
}

const FlagGroup kGroups[] = {{"Printing", kFlags}, kHomeFlags};

}  // namespace

extern const Command k_status;
const Command k_status = {
    .name = "status",
    .section = Section::kPlatform,
    .order = 2,
    .summary = "Health of every part of the local platform.",
    .usage = "vedette status [options]",
    .details = "The exit code is 0 when every service is SERVING, and 1 otherwise.",
    .flags = kGroups,
    .run = Run,
};

}  // namespace vedette::cli
