// vedette down: stops what `vedette up` started.
#include <fmt/format.h>
#include <signal.h>

#include <thread>

#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/state.h"

namespace vedette::cli {
namespace {

absl::StatusOr<int> Run(const Args& args) {
  const Home home = Home::From(args);
  const auto state = ReadState(home);
  if (!state.ok()) {
    fmt::print("No platform is running in {}.\n", home.root);
    return kOk;
  }
  ::kill(state->supervisor, SIGTERM);
  for (int i = 0; i < 1200; ++i) {
    if (::kill(state->supervisor, 0) != 0) {
      fmt::print("Stopped. The data is still in {}.\n", home.root);
      return kOk;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return Unavailable("the platform is still stopping after a minute; process {}", state->supervisor);
}

const FlagGroup kGroups[] = {kHomeFlags};

}  // namespace

extern const Command k_down;
const Command k_down = {
    .name = "down",
    .section = Section::kPlatform,
    .order = 4,
    .summary = "Stop the local platform; its data stays.",
    .usage = "vedette down [options]",
    .flags = kGroups,
    .run = Run,
};

}  // namespace vedette::cli
