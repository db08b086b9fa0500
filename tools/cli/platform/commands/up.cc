// vedette up: a whole platform on this machine.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/state.h"
#include "cli/platform/supervisor.h"
#include "cli/terminal.h"
#include "devcluster/process.h"

namespace vedette::cli {
namespace {

/// Services that may ask a language model.
constexpr const char* kAskModels[] = {"explainer", "triage", "detector"};

constexpr Flag kUp[] = {
    {.name = "ports", .type = FlagType::kText, .value_name = "BASE", .default_value = "7100",
     .doc = "REST on BASE, services on BASE+1 to BASE+9, NATS on BASE+22, PostgreSQL on BASE+32, metrics from BASE+101; or auto: any that are free"},
    {.name = "tenant", .type = FlagType::kText, .value_name = "ID", .default_value = "default", .doc = "tenant of the development token"},
    {.name = "set", .type = FlagType::kList, .value_name = "SERVICE:KEY=VALUE",
     .doc = "a setting of one service, for example detector:worker.concurrent_scores=4"},
    {.name = "llm-url", .type = FlagType::kText, .value_name = "URL",
     .doc = "a language model's OpenAI-compatible API for words and second opinions, for example http://localhost:11434/v1; without it nothing is asked"},
    {.name = "llm-model", .type = FlagType::kText, .value_name = "NAME", .doc = "the model's name there"},
    {.name = "llm-dialect", .type = FlagType::kChoice, .value_name = "KIND", .default_value = "ollama", .choices = "ollama|vllm|openai", .doc = "what the server understands"},
    {.name = "llm-key-file", .type = FlagType::kText, .value_name = "FILE", .doc = "file with the key, for servers that want one"},
    {.name = "llm-key-env", .type = FlagType::kText, .value_name = "VARIABLE", .doc = "environment variable with the key"},
    {.name = "llm-raw-strings", .type = FlagType::kSwitch, .doc = "send names of columns and texts of cells as they are, not as column_1 and text_1"},
    {.name = "foreground", .type = FlagType::kSwitch, .doc = "stay in this terminal and stop with Ctrl-C"},
    {.name = "quiet", .type = FlagType::kSwitch, .doc = "print nothing when all is well", .letter = 'q'},
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  const std::string& ports = args.Text("ports");
  const bool number = !ports.empty() && ports.size() <= 5 && ports.find_first_not_of("0123456789") == std::string::npos;
  if (ports != "auto" && (!number || std::stoi(ports) < 1024 || std::stoi(ports) > 65300)) {
    mistakes->push_back(fmt::format("--ports must be auto or a number from 1024 to 65300, not '{}'", ports));
  }
  for (const std::string& setting : args.List("set")) {
    if (setting.find(':') == std::string::npos || setting.find('=') == std::string::npos) {
      mistakes->push_back(fmt::format("--set takes SERVICE:KEY=VALUE, not '{}'", setting));
    }
  }
  if (args.Text("llm-url").empty() != args.Text("llm-model").empty()) mistakes->push_back("--llm-url and --llm-model belong together");
  if (args.Text("llm-url").empty() && !(args.Text("llm-key-file") + args.Text("llm-key-env")).empty()) {
    mistakes->push_back("--llm-key-file and --llm-key-env need --llm-url");
  }
  const std::string& tenant = args.Text("tenant");
  if (tenant.empty() || tenant.size() > 63 || tenant.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
    mistakes->push_back(fmt::format("--tenant must be 1 to 63 of a-z, 0-9 and -, not '{}'", tenant));
  }
}

/// The settings of one service: those of the language model, then --set, which wins.
void AddSettings(const Args& args, std::map<std::string, std::vector<std::string>>* arguments) {
  const auto add = [&](const std::string& service, const std::string& setting) {
    auto& all = (*arguments)[service];
    all.insert(all.end(), {"--set", setting});
  };
  if (!args.Text("llm-url").empty()) {
    std::error_code error;
    const std::string& key = args.Text("llm-key-file");
    const std::string key_file = key.empty() ? "" : std::filesystem::absolute(key, error).string();
    for (const char* service : kAskModels) {
      add(service, "llm.enabled=true");
      for (const auto& [field, value] : {std::pair<const char*, const std::string&>{"base_url", args.Text("llm-url")},
                                         {"model", args.Text("llm-model")},
                                         {"dialect", args.Text("llm-dialect")},
                                         {"api_key_file", key_file},
                                         {"api_key_env", args.Text("llm-key-env")}}) {
        if (!value.empty()) add(service, fmt::format("llm.{}={}", field, value));
      }
      if (args.Switch("llm-raw-strings")) add(service, "llm.raw_strings=true");
    }
  }
  for (const std::string& setting : args.List("set")) {
    const size_t colon = setting.find(':');
    add(setting.substr(0, colon), setting.substr(colon + 1));
  }
}

absl::StatusOr<std::string> OwnFolder() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Internal("/proc/self/exe cannot be read");
  return self.parent_path().string();
}

/// The supervisor itself, in this process.
absl::StatusOr<int> RunSupervisor(const Args& args, const Home& home) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const std::string& wanted = args.Text("ports");
  SupervisorOptions options{.home = home, .ports = {}, .tenant = args.Text("tenant"), .binaries = {}};
  ASSIGN_OR_RETURN(options.ports, wanted == "auto" ? Ports::Free() : Ports::From(std::stoi(wanted)));
  ASSIGN_OR_RETURN(options.binaries, OwnFolder());
  AddSettings(args, &options.extra_arguments);
  Supervisor supervisor(std::move(options));
  if (absl::Status status = supervisor.Start(); !status.ok()) {
    supervisor.Stop();
    PlatformState failed{.phase = "failed", .step = {}, .error = std::string(Message(status)), .rest = {}, .services = {}};
    (void)WriteState(home, failed);
    return status;
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  supervisor.Run();
  supervisor.Stop();
  ::unlink(home.State().c_str());
  return kOk;
}

absl::Status PrintReady(const Home& home, const PlatformState& state) {
  ASSIGN_OR_RETURN(const std::string token, ReadWhole(home.Secret("developer-token")));
  fmt::print("The platform is up in {}.\n\n  {:<18}{}\n", home.root, "REST", state.rest);
  for (const ServiceState& s : state.services) fmt::print("  {:<18}{}\n", s.name, s.address);
  fmt::print("  {:<18}127.0.0.1:{}\n  {:<18}127.0.0.1:{}\n", "PostgreSQL", state.postgres_port, "NATS", state.nats_port);
  fmt::print("\nDevelopment token (admin of tenant, for 24 hours; also in {}):\n  {}\n", home.Secret("developer-token"), token);
  fmt::print("\nNext: vedette upload FILE.csv --analyze    vedette status    vedette logs SERVICE    vedette down\n");
  return absl::OkStatus();
}

/// Starts the supervisor in a session of its own and waits until it is ready.
absl::Status StartDetached(const Args& args, const Home& home) {
  RETURN_IF_ERROR(home.Create());
  ASSIGN_OR_RETURN(const std::string folder, OwnFolder());
  devcluster::ProcessOptions process;
  process.argv = {folder + "/vedette", "up", "--foreground", "--home", home.root, "--ports", args.Text("ports"), "--tenant", args.Text("tenant")};
  for (const std::string& setting : args.List("set")) process.argv.insert(process.argv.end(), {"--set", setting});
  for (const char* flag : {"llm-url", "llm-model", "llm-dialect", "llm-key-file", "llm-key-env"}) {
    if (!args.Text(flag).empty()) process.argv.insert(process.argv.end(), {fmt::format("--{}", flag), args.Text(flag)});
  }
  if (args.Switch("llm-raw-strings")) process.argv.push_back("--llm-raw-strings");
  process.log_file = home.Log("supervisor");
  process.die_with_parent = false;
  ASSIGN_OR_RETURN(devcluster::Process supervisor, devcluster::Process::Spawn(process));
  Progress progress("starting", args.Switch("quiet"));
  for (int i = 0;; ++i) {
    const absl::StatusOr<PlatformState> state = LastState(home);
    const bool ours = state.ok() && state->supervisor == supervisor.pid();
    if (ours && state->phase == "ready") return absl::OkStatus();
    if (!supervisor.Running()) {
      const absl::StatusOr<PlatformState> last = LastState(home);
      const bool failed = last.ok() && last->phase == "failed" && !last->error.empty();
      return Unavailable("{}", failed ? last->error : devcluster::Tail(home.Log("supervisor"), 1000));
    }
    if (ours) progress.Update(-1, state->step);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

absl::StatusOr<int> Run(const Args& args) {
  const Home home = Home::From(args);
  if (const auto running = ReadState(home); running.ok()) {
    if (!args.Switch("quiet")) RETURN_IF_ERROR(PrintReady(home, *running));
    return kOk;
  }
  if (args.Switch("foreground")) return RunSupervisor(args, home);
  ::unlink(home.State().c_str());
  RETURN_IF_ERROR(StartDetached(args, home));
  ASSIGN_OR_RETURN(const PlatformState state, ReadState(home));
  if (!args.Switch("quiet")) RETURN_IF_ERROR(PrintReady(home, state));
  return kOk;
}

const FlagGroup kGroups[] = {{"Starting", kUp}, kHomeFlags};
constexpr Example kExamples[] = {{"vedette up", "start everything here"},
                                 {"vedette up --ports 8100", "when 7100 is taken"},
                                 {"vedette up --llm-url http://localhost:11434/v1 --llm-model llama3.1", "with words by a model on this machine"},
                                 {"vedette up --home /srv/vedette", "keep the data there"}};

}  // namespace

extern const Command k_up;
const Command k_up = {
    .name = "up",
    .section = Section::kPlatform,
    .order = 1,
    .summary = "Start the whole platform on this machine.",
    .usage = "vedette up [options]",
    .details =
        "Starts a private PostgreSQL and a private nats-server, creates roles with random passwords, runs the migrations, "
        "starts the nine services as processes of their own and waits until each is SERVING. Everything lies in one "
        "folder; nothing outside of it is touched. Services that die are started again. Data stays after 'vedette down'.",
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
