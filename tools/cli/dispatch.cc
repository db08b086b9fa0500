#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/status.h"
#include "cli/command.h"
#include "cli/terminal.h"

namespace vedette::cli {
namespace {

const Command* Find(std::string_view name) {
  for (const Command* c : AllCommands()) {
    if (c->name == name) return c;
  }
  return nullptr;
}

int UnknownCommand(std::string_view name) {
  std::vector<std::string> names = {"help"};
  for (const Command* c : AllCommands()) names.emplace_back(c->name);
  fmt::print(stderr, "vedette: unknown command '{}'{}; 'vedette --help' lists them\n", name, DidYouMean(name, names));
  return kUsage;
}

int PrintHelp(const std::string& text) {
  fmt::print("{}", text);
  return std::fflush(stdout) == 0 ? kOk : kFailed;
}

int Help(std::span<const std::string> words) {
  const int width = TerminalWidth(STDOUT_FILENO);
  if (words.empty()) return PrintHelp(HelpOverview(width));
  const Command* command = Find(words[0]);
  return command == nullptr ? UnknownCommand(words[0]) : PrintHelp(HelpPage(*command, width));
}

bool AsksForHelp(std::span<const std::string> words) {
  for (const auto& word : words) {
    if (word == "--") return false;
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

int Usage(const Command& command, const std::vector<std::string>& mistakes) {
  if (mistakes.size() == 1) {
    fmt::print(stderr, "vedette {}: {}; see 'vedette {} --help'\n", command.name, mistakes[0], command.name);
    return kUsage;
  }
  fmt::print(stderr, "vedette {}: {} mistakes in the command line; see 'vedette {} --help'\n", command.name,
             mistakes.size(), command.name);
  for (const auto& mistake : mistakes) fmt::print(stderr, "  - {}\n", mistake);
  return kUsage;
}

int Run(const Command& command, std::span<const std::string> words) {
  std::vector<std::string> mistakes;
  const Args args = ParseArgs(command.flags, command.positionals, words, &mistakes);
  if (command.check != nullptr) command.check(args, &mistakes);
  if (!mistakes.empty()) return Usage(command, mistakes);
  const absl::StatusOr<int> code = command.run(args);
  if (!code.ok()) {
    std::fflush(stdout);
    fmt::print(stderr, "vedette {}: {}\n", command.name, Message(code.status()));
    return kFailed;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    fmt::print(stderr, "vedette {}: standard output could not be written completely\n", command.name);
    return kFailed;
  }
  return *code;
}

}  // namespace

int Main(int argc, char** argv) {
  std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (words.empty()) return Help({});
  const std::span<const std::string> rest = std::span<const std::string>(words).subspan(1);
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") return Help(rest);
  if (words[0] == "--version") words[0] = "version";
  const Command* command = Find(words[0]);
  if (command == nullptr) return UnknownCommand(words[0]);
  if (AsksForHelp(rest)) return PrintHelp(HelpPage(*command, TerminalWidth(STDOUT_FILENO)));
  return Run(*command, rest);
}

}  // namespace vedette::cli
