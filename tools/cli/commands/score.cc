// vedette score: rows of a file against a stored model.
#include <map>

#include "base/status.h"
#include "cli/command.h"
#include "cli/recipe.h"
#include "cli/results.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

constexpr Flag kModelFile[] = {
    {.name = "model",
     .type = FlagType::kText,
     .value_name = "FILE",
     .doc = "a model that 'vedette fit' wrote (needed)",
     .letter = 'm'},
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (args.Text("model").empty()) mistakes->push_back("--model is missing: the file that 'vedette fit' wrote");
}

absl::StatusOr<int> Run(const Args& args) {
  const Session session(args);
  ASSIGN_OR_RETURN(const auto model, LoadModel(args.Text("model")));
  ASSIGN_OR_RETURN(const Input input, Input::Open(args.At(0)));
  SampleOptions options = SampleOptionsFrom(args, session, model->preparation().history() + 1);
  options.to_fit = false;
  ASSIGN_OR_RETURN(options.csv.schema, SchemaForModel(input, options.csv, *model));
  ASSIGN_OR_RETURN(const Sample sample, ReadSample(input, options));
  PrintReport(sample.report, input.name(), session.quiet());
  Header header;
  header.model = model.get();
  header.model_file = explain::SafeText(args.Text("model"), 200);
  const absl::Status status = WriteResults(args, session, input, sample, std::move(header), false, options.csv);
  if (!status.ok()) return status;
  return kOk;
}

constexpr Positional kPositionals[] = {
    {"FILE", "a CSV file with the columns that the model was fitted on; - for standard input"}};
const FlagGroup kGroups[] = {{"Model", kModelFile}, kResultFlags, kReadingFlags, kRunFlags};
constexpr Example kExamples[] = {
    {"vedette score february.csv --model sales.vdt", "the rows that a stored model finds odd"},
    {"vedette score february.csv --model sales.vdt -f csv --all-rows -o scored.csv", "every row with its score"},
};

}  // namespace

extern const Command k_score;
const Command k_score = {
    .name = "score",
    .section = Section::kModels,
    .order = 2,
    .summary = "Score the rows of a file with a stored model.",
    .usage = "vedette score FILE --model MODEL.vdt [options]",
    .details =
        "Columns are found by name; further columns are shown but not used. A row's score depends on the model and on "
        "that row alone, whatever else is in the file; where the model was fitted with --window, also on the rows "
        "before it: "
        "the file's rows must then be of one series, in order of time, and its first row stands for those before it.",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
