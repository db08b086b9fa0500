// vedette explain: why one row is odd, or is not.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "base/status.h"
#include "cli/command.h"
#include "cli/recipe.h"
#include "cli/results.h"
#include "cli/terminal.h"
#include "explain/methods.h"
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
     .choices = "native|native_standardized|tree_shap|exact|kernel_shap|lime|counterfactual|diffi|integrated_gradients",
     .doc = "native: what the algorithm itself says of each feature's part; native_standardized: that, in units of "
            "what usual rows have; tree_shap and diffi: isolation forests; "
            "exact: "
            "Shapley values of up to 13 columns; kernel_shap, lime: any algorithm; integrated_gradients: networks; "
            "counterfactual: what to change"},
    {.name = "mode",
     .type = FlagType::kText,
     .value_name = "MODE",
     .doc =
         "tree_shap: path_dependent (default) or interventional; lime: around_row (default), around_mean or quartile"},
    {.name = "samples",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "0",
     .min = 0,
     .max = 1000000,
     .doc = "rows drawn by lime, coalitions by kernel_shap; 0: 5000 and 2048"},
    {.name = "frozen",
     .type = FlagType::kList,
     .value_name = "COLUMNS",
     .doc = "columns that a counterfactual may not change; with --window it never changes earlier rows"},
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
  if (!args.Text("model").empty() && args.Given("window")) {
    mistakes->push_back("--model and --window exclude each other: a stored model has its window");
  }
}

/// The one row of the file, as the last of a table that begins with its history; from memory, or by reading the file
/// again.
absl::StatusOr<table::Table> FindRow(const Input& input, const Sample& sample, table::CsvOptions csv, int64_t row,
                                     int64_t history) {
  if (row >= sample.rows) {
    return InvalidArgument("--row {}: {} has {} rows, numbered 0 to {}", row, input.name(), sample.rows,
                           sample.rows - 1);
  }
  if (sample.complete) {
    const int64_t first = std::max<int64_t>(0, row - history);
    return table::SliceRows(sample.table, first, row - first + 1);
  }
  csv.schema = table::SchemaOf(sample.table);
  table::Table found;
  table::RowHistory before(history);
  int64_t begin = 0;
  const auto report = input.Stream(csv, "finding the row in", true, [&](table::Table&& batch) -> absl::Status {
    ASSIGN_OR_RETURN(const table::RowHistory::Run run, before.Next(std::move(batch)));
    const int64_t local = row - begin + run.context_rows;
    begin += run.table.rows() - run.context_rows;
    if (local >= run.table.rows()) return absl::OkStatus();
    const int64_t first = std::max<int64_t>(0, local - history);
    found = table::SliceRows(run.table, first, local - first + 1);
    return absl::CancelledError("found");
  });
  if (found.rows() == 0) return report.status();
  return found;
}

/// Everything that is known of one row when it is written.
struct Answer {
  outlier::RowScore score;
  explain::MethodResult result;
  explain::Explanation words;
  explain::Counterfactual counterfactual;
  bool nothing_to_change = false;  ///< as a new row it is normal, though it was found anomalous
  std::vector<explain::Change> changes;
};

Json CounterfactualJson(const Answer& answer, double threshold) {
  Json json;
  json["found"] = answer.counterfactual.found;
  json["already_normal"] = answer.counterfactual.already_normal;
  json["minimal"] = answer.counterfactual.minimal;
  json["anomaly_score"] = Number(answer.counterfactual.score);
  json["threshold"] = Number(threshold);
  json["changes"] = Json::array();
  for (const auto& c : answer.changes) {
    json["changes"].push_back(Json{{"feature_name", c.feature}, {"from", c.from}, {"to", c.to}});
  }
  return json;
}

Json ToJson(const outlier::Model& model, int64_t row, const Answer& answer, const table::Table& cells) {
  const outlier::RowScore& score = answer.score;
  const explain::MethodResult& result = answer.result;
  const explain::Explanation& e = answer.words;
  Json json;
  json["row_index"] = row;
  json["algorithm"] = model.descriptor().name;
  json["method"] = result.method;
  json["mode"] = result.mode.empty() ? Json(nullptr) : Json(result.mode);
  json["explained"] = result.explained;
  json["space"] = e.space;
  json["anomaly_score"] = Number(score.score);
  json["threshold"] = Number(model.scale().threshold());
  json["probability"] = Number(score.probability);
  json["confidence"] = Number(score.confidence);
  json["is_anomaly"] = score.anomaly;
  json["severity"] = outlier::SeverityName(score.severity);
  json["window"] = model.preparation().history() + 1;
  json["contributions"] = Json::array();
  for (const auto& c : e.contributions) {
    Json item = ContributionJson(c, "");  // always under the name "contribution" here
    if (std::isfinite(c.standard_error)) item["standard_error"] = Number(c.standard_error);
    json["contributions"].push_back(std::move(item));
  }
  json["expected"] = result.additive ? Number(result.expected) : Json(nullptr);
  json["output"] = result.additive ? Number(result.output) : Json(nullptr);
  json["additivity_error"] = result.additive ? Number(result.additivity_error) : Json(nullptr);
  json["r2"] = result.r2 ? Number(*result.r2) : Json(nullptr);
  json["background"] = Json(nullptr);
  if (!result.background.empty())
    json["background"] = Json{{"id", result.background}, {"rows", result.background_rows}};
  json["no_single_driver"] = e.no_single_driver;
  json["counterfactual"] = CounterfactualJson(answer, model.scale().threshold());
  json["warnings"] = result.warnings;
  json["text"] = e.text;
  json["raw_data"] = Json::object();
  for (const auto& column : cells.columns) json["raw_data"][column.name] = CellJson(column, cells.rows() - 1);
  return json;
}

std::string CounterfactualText(const Answer& answer, int64_t history) {
  if (answer.counterfactual.already_normal || answer.nothing_to_change) return "";
  if (!answer.counterfactual.found) {
    return fmt::format("No change of a few columns towards usual values makes this row normal{}.\n",
                       history > 0 ? " while the rows before it stay as they are" : "");
  }
  std::string changes;
  for (const auto& c : answer.changes) {
    changes += fmt::format("{}{} {} instead of {}", changes.empty() ? "" : ", ", explain::SafeText(c.feature, 27),
                           c.to.empty() ? "missing" : explain::SafeText(c.to, 13),
                           c.from.empty() ? "missing" : explain::SafeText(c.from, 13));
  }
  return fmt::format("It would be normal with {} (score {}).\n", changes,
                     explain::FormatNumber(answer.counterfactual.score, 4));
}

/// "temperature 70%, pressure 20%": where a feature has a share at several rows.
std::string SharesText(const explain::Explanation& e) {
  std::string out;
  for (const auto& f : explain::SharesByFeature(e.contributions)) {
    if (f.share > 0)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", explain::SafeText(f.feature, 27),
                         explain::FormatPercent(f.share));
  }
  return out;
}

std::string ToText(const Answer& answer, size_t width, int64_t history) {
  const explain::Explanation& e = answer.words;
  const explain::MethodResult& result = answer.result;
  std::string out;
  for (const auto& line : Wrap(e.text, width)) out += line + "\n";
  out += fmt::format("\n{:<28} {:>14} {:>14} {:>7}  {}\n", "feature", "actual", "expected", "share", "direction");
  for (const auto& c : e.contributions) {
    out += fmt::format("{:<28} {:>14} {:>14} {:>7}  {}\n", explain::FeatureTag(c, 27),
                       explain::SafeText(explain::ActualWords(c), 13), explain::SafeText(explain::ExpectedWords(c), 13),
                       explain::FormatPercent(c.share), explain::DirectionName(c.direction));
  }
  out += "\n";
  if (const std::string shares = SharesText(e); history > 0 && !shares.empty()) {
    out += "[-3] is the value of three rows before.\n";
    for (const auto& line : Wrap("Over all rows: " + shares + ".", width)) out += line + "\n";
  }
  for (const auto& line : Wrap(CounterfactualText(answer, history), width)) out += line + "\n";
  out += fmt::format("Method: {}{}; contributions measure {}.\n", e.method,
                     result.mode.empty() ? "" : fmt::format(" ({})", result.mode), e.space);
  if (result.additive) {
    out += fmt::format("Expected {} + contributions = {} ({}); additivity error {:.1e}.\n",
                       explain::FormatNumber(result.expected, 4), explain::FormatNumber(result.output, 4),
                       result.explained, result.additivity_error);
  }
  if (!result.background.empty())
    out += fmt::format("Background: {}, {} rows.\n", result.background, result.background_rows);
  for (const auto& warning : result.warnings) out += fmt::format("Note: {}.\n", warning);
  return out;
}

/// The method's result, its words, and a counterfactual where the method did not look for one already. `cells`: as
/// FindRow's.
absl::StatusOr<Answer> AnswerFor(const Args& args, const outlier::Model& model, const table::Table& cells, int64_t row,
                                 const outlier::RowScore& score, const Context& ctx) {
  ASSIGN_OR_RETURN(const Matrix X, model.preparation().Apply(cells, cells.rows() - 1));
  ASSIGN_OR_RETURN(const explain::Method* method, explain::FindMethod(args.Text("method")));
  const explain::MethodOptions options{args.Text("mode"), args.Int("samples"), args.List("frozen")};
  Answer answer{.score = score};
  ASSIGN_OR_RETURN(answer.result, explain::RunMethod(model, X, *method, options, ctx));
  const std::string subject = fmt::format("Row {}", explain::FormatCount(row));
  ASSIGN_OR_RETURN(answer.words, explain::ExplainWith(model, X, answer.result, score, subject, &cells, ctx));
  if (answer.result.counterfactual) {
    answer.counterfactual = *answer.result.counterfactual;
  } else {
    ASSIGN_OR_RETURN(answer.counterfactual, explain::CounterfactualOf(model, X, options, ctx));
  }
  ASSIGN_OR_RETURN(const std::string as_new, explain::ScoredAsNew(model, X, score, ctx));
  if (score.anomaly && answer.counterfactual.already_normal) {
    answer.counterfactual.found = answer.counterfactual.already_normal = false;
    answer.nothing_to_change = true;
    answer.result.warnings.push_back(fmt::format("no change was looked for that would make it normal: {}", as_new));
  } else if (!as_new.empty() && answer.result.method != "native") {
    answer.result.warnings.push_back(as_new + ", which is what is explained here");
  }
  ASSIGN_OR_RETURN(answer.changes, explain::ChangesOf(model, X, answer.counterfactual, &cells, ctx));
  return answer;
}

absl::StatusOr<int> Run(const Args& args) {
  const Session session(args);
  SampleOptions options = SampleOptionsFrom(args, session, args.Int("window"));
  ASSIGN_OR_RETURN(const Input input, Input::Open(args.At(0)));
  std::unique_ptr<outlier::Model> model;
  if (!args.Text("model").empty()) {
    ASSIGN_OR_RETURN(model, LoadModel(args.Text("model")));
    options.window = model->preparation().history() + 1;
    options.to_fit = false;
    ASSIGN_OR_RETURN(options.csv.schema, SchemaForModel(input, options.csv, *model));
  }
  ASSIGN_OR_RETURN(const Sample sample, ReadSample(input, options));
  PrintReport(sample.report, input.name(), session.quiet());
  const int64_t row = args.Int("row");
  ASSIGN_OR_RETURN(const table::Table cells, FindRow(input, sample, options.csv, row, options.window - 1));
  std::vector<outlier::RowScore> scores;
  if (model == nullptr) {
    absl::StatusOr<Fitted> fitted = FitModel(RecipeFrom(args), sample, session);
    if (!fitted.ok()) return Annotate(fitted.status(), input.name());
    model = std::move(fitted->model);
    if (sample.complete) scores = {model->TrainingRows()[static_cast<size_t>(row)]};
  }
  if (scores.empty()) {
    ASSIGN_OR_RETURN(const Matrix X, model->preparation().Apply(cells, cells.rows() - 1));
    ASSIGN_OR_RETURN(scores, model->Score(X, session.context()));
  }
  ASSIGN_OR_RETURN(const Answer answer, AnswerFor(args, *model, cells, row, scores[0], session.context()));
  ASSIGN_OR_RETURN(Output out, Output::Open(args.Text("output")));
  const auto width = static_cast<size_t>(out.to_stdout() ? TerminalWidth(STDOUT_FILENO) : 80);
  out.Write(args.Text("format") == "json" ? Dump(ToJson(*model, row, answer, cells), 2) + "\n"
                                          : ToText(answer, width, options.window - 1));
  RETURN_IF_ERROR(out.Commit());
  return kOk;
}

constexpr Positional kPositionals[] = {{"FILE", "the CSV file that holds the row; - for standard input"}};
const FlagGroup kGroups[] = {{"What to explain", kWhat}, kModelFlags, kPrepareFlags, kReadingFlags, kRunFlags};
constexpr Example kExamples[] = {
    {"vedette explain sales.csv --row 17", "why row 17 is odd, in words and numbers"},
    {"vedette explain february.csv --row 17 --model sales.vdt -f json", "against a stored model, as JSON"},
    {"vedette explain sensor.csv --row 17 -a knn --window 6", "which value, how many rows before, makes it odd"},
    {"vedette explain sales.csv --row 17 --algorithm iforest --method tree_shap",
     "Shapley values of the forest's score"},
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
