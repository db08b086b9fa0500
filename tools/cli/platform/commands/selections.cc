// vedette selections: which algorithm was taken for what, and why.
#include <fmt/format.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/client.h"
#include "cli/terminal.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

using jobs::v1::JobService;

constexpr Flag kFlags[] = {
    {.name = "format",
     .type = FlagType::kChoice,
     .value_name = "HOW",
     .default_value = "table",
     .choices = "table|json",
     .doc = "how it is printed; json has all that was weighed"},
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (args.positionals() > 0 && args.At(0) != "list") mistakes->push_back(fmt::format("'{}' is not list", args.At(0)));
}

void Print(const jobs::v1::LoggedSelection& s) {
  const absl::Time when = absl::FromUnixSeconds(s.select_time().seconds());
  fmt::print("{}  {} for {}, {} rows ({})\n", absl::FormatTime("%Y-%m-%d %H:%M:%S", when, absl::UTCTimeZone()),
             s.algorithm(), s.job().empty() ? "rows that came with a request" : s.job(),
             explain::FormatCount(s.training_rows()), s.requested_algorithm() == "auto" ? "chosen" : "asked for");
  if (!s.reason().empty()) fmt::print("    {}\n", explain::SafeText(s.reason(), 300));
  for (const auto& pick : s.selection().picks()) {
    fmt::print("    {:<24} expected quality {}, fit {} s\n", explain::SafeText(pick.algorithm(), 24),
               pick.expected_quality() > 0 ? explain::FormatNumber(pick.expected_quality()) : "unknown",
               explain::FormatNumber(pick.fit_seconds()));
  }
  if (!s.selection().review().empty())
    fmt::print("    second opinion: {}\n", explain::SafeText(s.selection().review(), 200));
}

absl::StatusOr<int> Run(const Args& args) {
  ASSIGN_OR_RETURN(const Platform platform, Platform::Open(args));
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<JobService>("job-orchestrator"));
  jobs::v1::ListModelSelectionsRequest request;
  SetList(args, request);
  ASSIGN_OR_RETURN(const auto response,
                   runtime::Call(*stub, &JobService::Stub::ListModelSelections, platform.Out(), request));
  if (args.Text("format") == "json") {
    fmt::print("{}", ToJson(response));
    return kOk;
  }
  for (const auto& selection : response.selections()) Print(selection);
  if (response.selections_size() == 0) fmt::print("No selections.\n");
  SayMore(response.next_page_token());
  return kOk;
}

constexpr Positional kPositionals[] = {{"ACTION", "list"}};
const FlagGroup kGroups[] = {{"Selections", kFlags}, kListFlags, kHomeFlags};
constexpr Example kExamples[] = {
    {"vedette selections list", "the newest, each with the proposals that it was taken from"},
    {"vedette selections list --filter 'algorithm = iforest' --format json", "all that was weighed"}};

}  // namespace

extern const Command k_selections;
const Command k_selections = {
    .name = "selections",
    .section = Section::kPlatform,
    .order = 8,
    .summary = "List which algorithms were taken for what, and why.",
    .usage = "vedette selections list [options]",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
