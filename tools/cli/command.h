// A command of `vedette` is one file that ends in a Command: dispatch, help and checking of flags come from it.
// commands/NAME.cc defines k_NAME; CMake writes AllCommands() from the files (no static registration).
#pragma once

#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/flags.h"

namespace vedette::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;  ///< the operation did not succeed
inline constexpr int kUsage = 2;   ///< the command line is wrong; nothing was done

/// Headings of `vedette --help`, in this order.
enum class Section { kFind, kModels, kPlatform, kOther };

struct Example {
  std::string_view line;  ///< "vedette detect sales.csv"
  std::string_view what;  ///< "odd rows of a file, with reasons"
};

struct Command {
  std::string_view name;
  Section section = Section::kOther;
  int order = 0;                  ///< place within the section
  std::string_view summary;       ///< one line
  std::string_view usage;         ///< "vedette detect FILE [options]"
  std::string_view details = {};  ///< paragraphs for the help page
  std::span<const Positional> positionals = {};
  std::span<const FlagGroup> flags = {};
  std::span<const Example> examples = {};
  /// Appends every mistake that the flag table cannot see. Called even when parsing found some, so all come at once.
  void (*check)(const Args& args, std::vector<std::string>* mistakes) = nullptr;
  /// Does the work; the value is the exit code, an error is printed as one line and means kFailed.
  absl::StatusOr<int> (*run)(const Args& args) = nullptr;
};

/// All commands of this build, by section and order.
std::vector<const Command*> AllCommands();
/// The commands as CMake lists them.
std::span<const Command* const> ListedCommands();

/// The overview, or the page of one command; `width` in characters.
std::string HelpOverview(int width);
std::string HelpPage(const Command& command, int width);

/// The program: finds the command, parses, checks, runs, reports. Returns the exit code.
int Main(int argc, char** argv);

}  // namespace vedette::cli
