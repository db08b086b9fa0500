// vedette explain: why one row is odd, or is not.
#include <fmt/format.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/command.h"
#include "cli/recipe.h"
#include "cli/results.h"
#include "cli/terminal.h"
#include "explain/words.h"
#include "table/rows.h"

namespace vedette::cli {
namespace {

constexpr Flag kWhat[] = {
    {.name = "row",
     .type = FlagType::kInt,
     .value_name = "N",
     .min = 0,
     .max = 1e15,
     .doc = "the row, as 'vedette detect' numbers them: 0 is the first after the header (needed)",
     .letter = 'r'},
    {.name = "model",
     .type = FlagType::kText,
     .value_name = "FILE",
     .doc = "explain by a stored model instead of one fitted to this file",
     .letter = 'm'},
    {.name = "method",
     .type = FlagType::kChoice,
     .default_value = "native",
     .choices = "native",
     .doc = "native: what the algorithm itself says of each feature's part"},
    {.name = "format",
     .type = FlagType::kChoice,
     .default_value = "text",
     .choices = "text|json",
     .doc = "how the explanation is written",
     .letter = 'f'},
    {.name = "output",
     .type = FlagType::kText,
     .value_name = "FILE",
     .doc = "write there instead of standard output",
     .letter = 'o'},
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  CheckRecipe(args, mistakes);
  if (!args.Given("row")) mistakes->push_back("--row is missing: the number of the row to explain");
  if (!args.Text("model").empty() && args.Given("algorithm")) {
    mistakes->push_back("--model and --algorithm exclude each other: a stored model has its algorithm");
  }
}

/// The one row of the file, as a table; from memory, or by reading the file again.
absl::StatusOr<table::Table> FindRow(const Input& input, const Sample& sample, table::CsvOptions csv, int64_t row) {
  if (row >= sample.rows) {
    return InvalidArgument("--row {}: {} has {} rows, numbered 0 to {}", row, input.name(), sample.rows,
                           sample.rows - 1);
  }
  if (sample.complete) return table::TakeRows(sample.table, std::span(&row, 1));
  csv.schema = table::SchemaOf(sample.table);
  table::Table found;
  int64_t begin = 0;
  const auto report = input.Stream(csv, "finding the row in", true, [&](table::Table&& batch) -> absl::Status {
    const int64_t local = row - begin;
    begin += batch.rows();
    if (local >= batch.rows()) return absl::OkStatus();
    found = table::TakeRows(batch, std::span(&local, 1));
    return absl::CancelledError("found");
  });
  if (found.rows() == 0) return report.status();
  return found;
}

Json ToJson(const outlier::Model& model, int64_t row, const outlier::RowScore& score, const explain::Explanation& e,
            const table::Table& cells) {
  Json json;
  json["row_index"] = row;
  json["algorithm"] = model.descriptor().name;
  json["method"] = e.method;
  json["space"] = e.space;
  json["anomaly_score"] = Number(score.score);
  json["threshold"] = Number(model.scale().threshold());
  json["probability"] = Number(score.probability);
  json["confidence"] = Number(score.confidence);
  json["is_anomaly"] = score.anomaly;
  json["severity"] = outlier::SeverityName(score.severity);
  json["contributions"] = Json::array();
  for (const auto& c : e.contributions) {
    Json item = ContributionJson(c, "");  // always under the name "contribution" here
    json["contributions"].push_back(std::move(item));
  }
  json["no_single_driver"] = e.no_single_driver;
  json["text"] = e.text;
  json["raw_data"] = Json::object();
  for (const auto& column : cells.columns) json["raw_data"][column.name] = CellJson(column, 0);
  return json;
}

std::string ToText(const explain::Explanation& e, size_t width) {
  std::string out;
  for (const auto& line : Wrap(e.text, width)) out += line + "\n";
  out += fmt::format("\n{:<28} {:>14} {:>14} {:>7}  {}\n", "feature", "actual", "expected", "share", "direction");
  for (const auto& c : e.contributions) {
    out += fmt::format("{:<28} {:>14} {:>14} {:>7}  {}\n", explain::SafeText(c.feature_name, 27),
                       explain::SafeText(explain::ActualWords(c), 13), explain::SafeText(explain::ExpectedWords(c), 13),
                       explain::FormatPercent(c.share), explain::DirectionName(c.direction));
  }
  return out + fmt::format("\nMethod: {}; contributions measure {}.\n", e.method, e.space);
}

absl::StatusOr<int> Run(const Args& args) {
  const Session session(args);
  SampleOptions options = SampleOptionsFrom(args, session);
  ASSIGN_OR_RETURN(const Input input, Input::Open(args.At(0)));
  std::unique_ptr<outlier::Model> model;
  if (!args.Text("model").empty()) {
    ASSIGN_OR_RETURN(model, LoadModel(args.Text("model")));
    ASSIGN_OR_RETURN(options.csv.schema, SchemaForModel(input, options.csv, *model));
  }
  ASSIGN_OR_RETURN(const Sample sample, ReadSample(input, options));
  PrintReport(sample.report, input.name(), session.quiet());
  const int64_t row = args.Int("row");
  ASSIGN_OR_RETURN(const table::Table cells, FindRow(input, sample, options.csv, row));
  std::vector<outlier::RowScore> scores;
  if (model == nullptr) {
    absl::StatusOr<Fitted> fitted = FitModel(RecipeFrom(args), sample, session);
    if (!fitted.ok()) return Annotate(fitted.status(), input.name());
    model = std::move(fitted->model);
    if (sample.complete) scores = {model->TrainingRows()[static_cast<size_t>(row)]};
  }
  if (scores.empty()) {
    ASSIGN_OR_RETURN(const Matrix X, model->preparation().Apply(cells));
    ASSIGN_OR_RETURN(scores, model->Score(X, session.context()));
  }
  ASSIGN_OR_RETURN(const auto explanations, ExplainRows(*model, cells, std::span(&row, 1), scores, session.context()));
  ASSIGN_OR_RETURN(Output out, Output::Open(args.Text("output")));
  const auto width = static_cast<size_t>(out.to_stdout() ? TerminalWidth(STDOUT_FILENO) : 80);
  out.Write(args.Text("format") == "json" ? Dump(ToJson(*model, row, scores[0], explanations[0], cells), 2) + "\n"
                                          : ToText(explanations[0], width));
  RETURN_IF_ERROR(out.Commit());
  return kOk;
}

constexpr Positional kPositionals[] = {{"FILE", "the CSV file that holds the row; - for standard input"}};
const FlagGroup kGroups[] = {{"What to explain", kWhat}, kModelFlags, kPrepareFlags, kReadingFlags, kRunFlags};
constexpr Example kExamples[] = {
    {"vedette explain sales.csv --row 17", "why row 17 is odd, in words and numbers"},
    {"vedette explain february.csv --row 17 --model sales.vdt -f json", "against a stored model, as JSON"},
};

}  // namespace

extern const Command k_explain;
const Command k_explain = {
    .name = "explain",
    .section = Section::kFind,
    .order = 2,
    .summary = "Say why one row is odd: every feature's part, the expected values, and a text.",
    .usage = "vedette explain FILE --row N [options]",
    .details =
        "Fits the file as 'vedette detect' does with the same options (or loads --model), and explains one row. "
        "A row that is not odd is explained too.",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
