// vedette fit: a model file, to score further data with.
#include <fmt/format.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/recipe.h"
#include "cli/results.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

constexpr Flag kModelFile[] = {
    {.name = "model",
     .type = FlagType::kText,
     .value_name = "FILE",
     .doc = "where the model is written (needed)",
     .letter = 'm'},
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  CheckRecipe(args, mistakes);
  if (args.Text("model").empty()) mistakes->push_back("--model is missing: the file that the model is written to");
}

absl::StatusOr<int> Run(const Args& args) {
  const Session session(args);
  ASSIGN_OR_RETURN(const Input input, Input::Open(args.At(0)));
  ASSIGN_OR_RETURN(const Sample sample, ReadSample(input, SampleOptionsFrom(args, session, args.Int("window"))));
  PrintReport(sample.report, input.name(), session.quiet());
  absl::StatusOr<Fitted> fitted = FitModel(RecipeFrom(args), sample, session);
  if (!fitted.ok()) return Annotate(fitted.status(), input.name());
  const std::string bytes = fitted->model->Serialize();
  const std::string& path = args.Text("model");
  ASSIGN_OR_RETURN(Output out, Output::Open(path));
  out.Write(bytes);
  RETURN_IF_ERROR(out.Commit());
  for (const auto& hint : fitted->hints) {
    if (!session.quiet()) fmt::print(stderr, "vedette: hint: {}\n", hint);
  }
  if (out.to_stdout() || session.quiet()) return kOk;
  fmt::print("{}: {}, fitted on {} rows and {} features{}; threshold {}; {} bytes\n", explain::SafeText(path, 200),
             fitted->model->descriptor().name, explain::FormatCount(fitted->model->training_rows()),
             fitted->model->preparation().features().size(),
             sample.complete ? "" : fmt::format(" (drawn at random from {} rows)", explain::FormatCount(sample.rows)),
             explain::FormatNumber(fitted->model->scale().threshold(), 4),
             explain::FormatCount(static_cast<int64_t>(bytes.size())));
  if (!fitted->reason.empty()) fmt::print("auto chose {}: {}\n", fitted->model->descriptor().name, fitted->reason);
  for (const outlier::Pick& pick : fitted->picks) {
    fmt::print("  {}: {}\n", pick.algorithm, PickForecast(pick, fitted->model->training_rows()));
  }
  return kOk;
}

constexpr Positional kPositionals[] = {{"FILE", "a CSV file, plain or gzip, or - for standard input"}};
const FlagGroup kGroups[] = {{"Result", kModelFile}, kModelFlags, kPrepareFlags, kReadingFlags, kRunFlags};
constexpr Example kExamples[] = {
    {"vedette fit january.csv --algorithm iforest --model sales.vdt", "learn what January looked like"},
    {"vedette score february.csv --model sales.vdt", "and what of February does not"},
};

}  // namespace

extern const Command k_fit;
const Command k_fit = {
    .name = "fit",
    .section = Section::kModels,
    .order = 1,
    .summary = "Fit a model to a file and store it.",
    .usage = "vedette fit FILE --model OUT.vdt [options]",
    .details =
        "The model file holds everything that scoring needs: column types, how gaps and categories were treated, the "
        "fitted algorithm and its threshold. It is checked by a SHA-256 when it is read, and nothing in it is run.",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
