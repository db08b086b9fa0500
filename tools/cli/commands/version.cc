// vedette version: what this program is, for bug reports.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/recipe.h"

namespace vedette::cli {
namespace {

absl::StatusOr<int> Run(const Args&) {
  fmt::print("vedette {} ({} algorithms)\n", VEDETTE_VERSION, Algorithms().all().size());
  return kOk;
}

}  // namespace

extern const Command k_version;
const Command k_version = {
    .name = "version",
    .section = Section::kOther,
    .order = 9,
    .summary = "Print the version.",
    .usage = "vedette version",
    .run = Run,
};

}  // namespace vedette::cli
