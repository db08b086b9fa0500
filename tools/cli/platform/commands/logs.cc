// vedette logs: what a process of the local platform wrote.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <thread>

#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/home.h"

namespace vedette::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "lines", .type = FlagType::kInt, .value_name = "N", .default_value = "50", .min = 1, .max = 1e6, .doc = "how many, from the end", .letter = 'n'},
    {.name = "follow", .type = FlagType::kSwitch, .doc = "go on printing what comes, until Ctrl-C", .letter = 'f'},
};

std::vector<std::string> Names() {
  std::vector<std::string> names = {"supervisor", "postgres", "nats"};
  for (const ServiceInfo& s : Services()) names.emplace_back(s.name);
  return names;
}

void Check(const Args& args, std::vector<std::string>* mistakes) {
  const std::vector<std::string> names = Names();
  if (args.positionals() > 0 && std::find(names.begin(), names.end(), args.At(0)) == names.end()) {
    mistakes->push_back(fmt::format("no part is called '{}'{}; there are {}", args.At(0), DidYouMean(args.At(0), names), fmt::join(names, ", ")));
  }
}

/// Where the last `lines` lines begin.
std::streamoff LastLines(std::ifstream& file, int64_t lines) {
  file.seekg(0, std::ios::end);
  std::streamoff at = file.tellg();
  constexpr std::streamoff kBlock = 1 << 16;
  std::string block;
  int64_t found = 0;
  while (at > 0) {
    const std::streamoff size = std::min(at, kBlock);
    at -= size;
    block.resize(static_cast<size_t>(size));
    file.seekg(at);
    file.read(block.data(), size);
    for (std::streamoff i = size - 1; i >= 0; --i) {
      // The newline at the very end closes the last line and opens none.
      if (block[static_cast<size_t>(i)] == '\n' && ++found == lines + 1) return at + i + 1;
    }
  }
  return 0;
}

absl::StatusOr<int> Run(const Args& args) {
  const Home home = Home::From(args);
  const std::string path = home.Log(args.At(0));
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound("{} is not there; was the platform ever started?", path);
  file.seekg(LastLines(file, args.Int("lines")));
  for (;;) {
    std::string text(1 << 16, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    std::cout.write(text.data(), file.gcount()).flush();
    if (file.gcount() > 0) continue;
    if (!args.Switch("follow")) return kOk;
    file.clear();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

constexpr Positional kPositionals[] = {{"SERVICE", "ingest, detector, gateway...; or supervisor, postgres, nats"}};
const FlagGroup kGroups[] = {{"Printing", kFlags}, kHomeFlags};
constexpr Example kExamples[] = {{"vedette logs detector -f", "watch the detector work"}};

}  // namespace

extern const Command k_logs;
const Command k_logs = {
    .name = "logs",
    .section = Section::kPlatform,
    .order = 3,
    .summary = "What a part of the local platform wrote.",
    .usage = "vedette logs SERVICE [options]",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
