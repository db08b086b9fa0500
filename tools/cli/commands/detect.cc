// vedette detect: from a file to its odd rows, in one step.
#include <fmt/format.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/recipe.h"
#include "cli/results.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

absl::StatusOr<int> Run(const Args& args) {
  const Session session(args);
  const SampleOptions options = SampleOptionsFrom(args, session, args.Int("window"));
  ASSIGN_OR_RETURN(const Input input, Input::Open(args.At(0)));
  ASSIGN_OR_RETURN(const Sample sample, ReadSample(input, options));
  PrintReport(sample.report, input.name(), session.quiet());
  absl::StatusOr<Fitted> fitted = FitModel(RecipeFrom(args), sample, session);
  if (!fitted.ok()) return Annotate(fitted.status(), input.name());
  Header header;
  header.model = fitted->model.get();
  header.reason = fitted->reason;
  header.picks = fitted->picks;
  RETURN_IF_ERROR(WriteResults(args, session, input, sample, std::move(header), true, options.csv));
  for (const auto& hint : fitted->hints) {
    if (!session.quiet()) fmt::print(stderr, "vedette: hint: {}\n", hint);
  }
  return kOk;
}

constexpr Positional kPositionals[] = {{"FILE", "a CSV file, plain or gzip, or - for standard input"}};
const FlagGroup kGroups[] = {kResultFlags, kModelFlags, kPrepareFlags, kReadingFlags, kRunFlags};
constexpr Example kExamples[] = {
    {"vedette detect sales.csv", "the odd rows, each with its reasons"},
    {"vedette detect sales.csv --ignore-columns id,comment --contamination 0.01", "the oddest 1%, without two columns"},
    {"vedette detect sales.csv.gz -a knn -p n_neighbors=20 -f json -o odd.json", "another algorithm, JSON to a file"},
    {"vedette detect sensor.csv -a knn --window 6",
     "rows of one series in order of time: what does not follow from the five before"},
    {"zcat big.csv.gz | vedette detect - -f csv --all-rows > scored.csv", "every row with its score"},
};

}  // namespace

extern const Command k_detect;
const Command k_detect = {
    .name = "detect",
    .section = Section::kFind,
    .order = 1,
    .summary = "Find the odd rows of a file and say what is odd about them.",
    .usage = "vedette detect FILE [options]",
    .details =
        "Reads the table, finds the types of its columns, fills gaps, turns categories into numbers, fits an "
        "algorithm, "
        "scores every row and prints those above the threshold with the values that set them apart. A higher score is "
        "more anomalous. Nothing leaves this machine.\n\n"
        "A cell that cannot be read counts as missing and is reported. A file with more rows than --sample-rows, or than "
        "--memory-limit has room for, is fitted on a random sample and scored in a second pass, in bounded memory.",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = CheckRecipe,
    .run = Run,
};

}  // namespace vedette::cli
