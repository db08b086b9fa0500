#include "cli/recipe.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>

#include "base/status.h"
#include "boosting/algorithms.h"
#include "cli/labels.h"
#include "cli/terminal.h"
#include "explain/words.h"
#include "neural/algorithms.h"
#include "outlier/selection.h"

namespace vedette::cli {
namespace {

constexpr Flag kReading[] = {
    {.name = "delimiter",
     .type = FlagType::kText,
     .value_name = "CHAR",
     .doc = "what separates fields: one character, or 'tab'; found from the first lines when not given"},
    {.name = "sample-rows",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "1000000",
     .min = 100,
     .max = 1e9,
     .doc = "a file with more rows is fitted on a random sample of this many, each with the rows before it that --window "
            "wants, and scored in a second pass"},
    {.name = "memory-limit",
     .type = FlagType::kInt,
     .value_name = "MB",
     .default_value = "2048",
     .min = 16,
     .max = 1e7,
     .doc = "sample sooner, and fewer rows, when they would take more than about this much memory; with --window each row "
            "takes as much as its window"},
};

constexpr Flag kModel[] = {
    {.name = "algorithm",
     .type = FlagType::kText,
     .value_name = "NAME",
     .default_value = "auto",
     .doc = "an algorithm of 'vedette algorithms', or auto",
     .letter = 'a'},
    {.name = "param",
     .type = FlagType::kPairs,
     .value_name = "NAME=VALUE",
     .doc = "a parameter of the algorithm; 'vedette algorithms NAME' lists them",
     .letter = 'p'},
    {.name = "label",
     .type = FlagType::kText,
     .value_name = "COLUMN",
     .doc = "column of known anomalies, for algorithms that learn from labels: 1 or true, 0 or false, empty = not known; "
            "never a feature",
     .letter = 'l'},
    {.name = "positive",
     .type = FlagType::kText,
     .value_name = "VALUE",
     .doc = "the value of --label that means anomaly; every other value then means normal"},
    {.name = "contamination",
     .type = FlagType::kReal,
     .value_name = "X",
     .min = 1e-9,
     .max = 0.5,
     .doc = "share of rows expected to be odd: sets the threshold (default 0.05)"},
    {.name = "threshold-percentile",
     .type = FlagType::kReal,
     .value_name = "P",
     .min = 50,
     .max = 99.9999999,
     .doc = "the same as a percentile of the training scores: 95 means --contamination 0.05"},
    {.name = "threshold",
     .type = FlagType::kText,
     .value_name = "RULE",
     .doc = "instead of a share, a rule that looks at the scores, as NAME or NAME:VALUE: conformal, density, fixed, gesd, iqr, "
            "mad, mixture, percentile, pot, zscore"},
    {.name = "device",
     .type = FlagType::kText,
     .value_name = "DEVICE",
     .default_value = "auto",
     .doc = "auto, cpu or cuda:N; where neural algorithms train"},
};

constexpr Flag kPrepare[] = {
    {.name = "ignore-columns",
     .type = FlagType::kList,
     .value_name = "A,B",
     .doc = "columns not to look at",
     .letter = 'x'},
    {.name = "scaling",
     .type = FlagType::kChoice,
     .value_name = "HOW",
     .default_value = "auto",
     .choices = "auto|none|standard|robust",
     .doc = "auto: standard for algorithms that compare columns by distance"},
    {.name = "encoding",
     .type = FlagType::kChoice,
     .value_name = "HOW",
     .default_value = "auto",
     .choices = "auto|onehot|frequency|ordinal|native",
     .doc = "how categories become numbers; native only for algorithms that split on them; auto: native there, else "
            "onehot"},
    {.name = "imputation",
     .type = FlagType::kChoice,
     .value_name = "HOW",
     .default_value = "auto",
     .choices = "auto|median|mean|none",
     .doc = "what a missing cell becomes; none only for algorithms that take missing values; auto: none there, else "
            "median"},
    kWindowFlag,
};

constexpr Flag kRun[] = {
    {.name = "seed",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "42",
     .min = 0,
     .max = 9e18,
     .doc = "the same seed gives the same result at any number of threads"},
    {.name = "threads",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "0",
     .min = 0,
     .max = 1024,
     .doc = "0: as many as this process may use"},
    {.name = "quiet",
     .type = FlagType::kSwitch,
     .doc = "only the result; no progress, hints or bad cells",
     .letter = 'q'},
};

bool IsDevice(std::string_view text) {
  if (text == "auto" || text == "cpu") return true;
  if (!text.starts_with("cuda:") || text.size() > 8 || text.size() == 5) return false;
  return std::all_of(text.begin() + 5, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool HasParam(const outlier::Descriptor& d, std::string_view name) {
  return std::any_of(d.params.begin(), d.params.end(), [&](const auto& p) { return p.name == name; });
}

/// A 0/1 column with a name that people give to labels, used as a feature.
std::vector<std::string> LabelHints(const table::Table& table, const table::Preparation& preparation) {
  static const std::set<std::string> kNames = {"label",      "labels",   "is_anomaly", "anomaly", "outlier",
                                               "is_outlier", "is_fraud", "fraud",      "target",  "class"};
  std::vector<std::string> hints;
  for (const auto& feature : preparation.features()) {
    std::string name = feature.source_column;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    const int64_t at = table.Find(feature.source_column);
    if (!kNames.contains(name) || at < 0) continue;
    const auto& values = table.columns[static_cast<size_t>(at)].values;
    const bool binary = !values.empty() && std::all_of(values.begin(), values.end(),
                                                       [](double v) { return v == 0 || v == 1 || std::isnan(v); });
    if (binary) {
      hints.push_back(
          fmt::format("column '{}' holds only 0 and 1 and looks like an answer, yet it is used as a feature: "
                      "--ignore-columns {} leaves it out",
                      explain::SafeText(feature.source_column), explain::SafeText(feature.source_column)));
    }
  }
  return hints;
}

/// Columns that --ignore-columns names but the table lacks: one error for all of them.
absl::Status CheckIgnored(const Recipe& recipe, const table::Table& table) {
  std::vector<std::string> names, wrong;
  for (const auto& column : table.columns) names.push_back(column.name);
  for (const auto& column : recipe.prepare.ignore_columns) {
    if (table.Find(column) < 0) {
      wrong.push_back(fmt::format("'{}'{}", explain::SafeText(column), DidYouMean(column, names)));
    }
  }
  if (wrong.empty()) return absl::OkStatus();
  return InvalidArgument("--ignore-columns: the file has no column {}", fmt::join(wrong, ", nor "));
}

/// The matrix of the sample's rows: in a sample with windows the others are only there as their history.
absl::StatusOr<Matrix> MatrixOf(const table::Preparation& preparation, const Sample& sample) {
  return sample.rows_of_table.empty() ? preparation.Apply(sample.table)
                                      : preparation.ApplyRows(sample.table, sample.rows_of_table);
}

/// Labels of the rows that MatrixOf gives.
std::vector<outlier::Label> LabelsOf(std::vector<outlier::Label> labels, const Sample& sample) {
  if (sample.rows_of_table.empty()) return labels;
  std::vector<outlier::Label> out;
  for (const int64_t row : sample.rows_of_table) out.push_back(labels[static_cast<size_t>(row)]);
  return out;
}

}  // namespace

constinit const FlagGroup kReadingFlags = {"Reading", kReading};
constinit const FlagGroup kModelFlags = {"Algorithm and threshold", kModel};
constinit const FlagGroup kPrepareFlags = {"Columns", kPrepare};
constinit const FlagGroup kRunFlags = {"Running", kRun};

const outlier::Catalog& Algorithms() {
  static const outlier::Catalog catalog({outlier::AllAlgorithms(), neural::Algorithms(), boosting::Algorithms()});
  return catalog;
}

Session::Session(const Args& args) {
  const int64_t wanted = args.Int("threads");
  const int threads = wanted == 0 ? AvailableCpus() : static_cast<int>(wanted);
  // ParallelFor works on the calling thread too.
  if (threads > 1) pool_ = std::make_unique<ThreadPool>(threads - 1);
  context_.pool = pool_.get();
  context_.seed = static_cast<uint64_t>(args.Int("seed"));
  quiet_ = args.Switch("quiet");
}

void CheckParams(const outlier::Descriptor& descriptor, const std::map<std::string, std::string>& params,
                 std::vector<std::string>* mistakes) {
  const auto set = outlier::ParamSet::Make(descriptor.params, params);
  if (!set.ok()) mistakes->push_back(fmt::format("--param for {}: {}", descriptor.name, Message(set.status())));
}

void CheckRecipe(const Args& args, std::vector<std::string>* mistakes) {
  if (args.Given("contamination") && args.Given("threshold-percentile")) {
    mistakes->push_back("--contamination and --threshold-percentile say the same thing: give one of them");
  }
  if (const std::string& threshold = args.Text("threshold"); !threshold.empty()) {
    if (args.Given("contamination") || args.Given("threshold-percentile")) {
      mistakes->push_back("--threshold is a rule instead of --contamination or --threshold-percentile: give one of them");
    }
    const auto rule = outlier::ThresholdRule::Parse(threshold);
    if (!rule.ok()) mistakes->push_back(fmt::format("--threshold: {}", Message(rule.status())));
  }
  if (!args.Text("positive").empty() && args.Text("label").empty()) {
    mistakes->push_back("--positive needs --label: it is a value of that column");
  }
  if (const std::string& d = args.Text("delimiter"); d.size() > 1 && d != "tab" && d != "\\t") {
    mistakes->push_back(fmt::format("--delimiter must be one character or 'tab', not '{}'", d));
  }
  CheckDevice(args, mistakes);
  const std::string& algorithm = args.Text("algorithm");
  if (algorithm == "auto") {
    if (!args.Pairs("param").empty()) {
      mistakes->push_back("--param needs --algorithm: parameters belong to one algorithm, and auto may choose another");
    }
    return;
  }
  const auto found = Algorithms().Find(algorithm);
  if (!found.ok()) {
    mistakes->push_back(fmt::format("--algorithm: {}", Message(found.status())));
    return;
  }
  CheckParams(**found, args.Pairs("param"), mistakes);
  if ((*found)->needs_labels && args.Text("label").empty()) {
    mistakes->push_back(fmt::format("--label is missing: {} learns from a column that says which rows are known anomalies", algorithm));
  }
  if (args.Text("imputation") == "none" && (*found)->nan != outlier::NanPolicy::kNative) {
    mistakes->push_back(fmt::format("--imputation none: {} cannot take missing values; use median or mean", algorithm));
  }
  if (args.Text("encoding") == "native" && !(*found)->categories) {
    mistakes->push_back(fmt::format("--encoding native: {} cannot split on categories; use onehot, frequency or ordinal", algorithm));
  }
}

void CheckDevice(const Args& args, std::vector<std::string>* mistakes) {
  if (IsDevice(args.Text("device"))) return;
  mistakes->push_back(fmt::format("--device must be auto, cpu or cuda:N, not '{}'", args.Text("device")));
}

bool ApplyDevice(const outlier::Descriptor& descriptor, std::string_view device,
                 std::map<std::string, std::string>* params) {
  if (!HasParam(descriptor, "device")) return false;
  const size_t colon = device.find(':');
  params->emplace("device", device.substr(0, colon));
  if (colon != std::string_view::npos) params->emplace("device_index", device.substr(colon + 1));
  return true;
}

Recipe RecipeFrom(const Args& args) {
  Recipe out;
  out.algorithm = args.Text("algorithm");
  out.params = args.Pairs("param");
  if (args.Given("contamination")) out.contamination = args.Real("contamination");
  if (args.Given("threshold-percentile")) out.contamination = 1 - args.Real("threshold-percentile") / 100;
  out.threshold = args.Text("threshold");
  out.device = args.Text("device");
  out.prepare.ignore_columns = args.List("ignore-columns");
  out.prepare.window = static_cast<int>(args.Int("window"));
  out.label = args.Text("label");
  out.positive = args.Text("positive");
  const std::string& scaling = args.Text("scaling");
  out.open.scaling = scaling == "auto";
  out.prepare.scaling = scaling == "standard" ? table::Scaling::kStandard
                        : scaling == "robust" ? table::Scaling::kRobust
                                              : table::Scaling::kNone;
  const std::string& encoding = args.Text("encoding");
  out.open.encoding = encoding == "auto";
  out.prepare.encoding = encoding == "frequency" ? table::Encoding::kFrequency
                         : encoding == "ordinal" ? table::Encoding::kOrdinal
                         : encoding == "native"  ? table::Encoding::kNative
                                                 : table::Encoding::kOneHot;
  const std::string& imputation = args.Text("imputation");
  out.open.imputation = imputation == "auto";
  out.prepare.imputation = imputation == "mean"   ? table::Imputation::kMean
                           : imputation == "none" ? table::Imputation::kNone
                                                  : table::Imputation::kMedian;
  return out;
}

SampleOptions SampleOptionsFrom(const Args& args, const Session& session, int64_t window) {
  SampleOptions out;
  const std::string& d = args.Text("delimiter");
  if (!d.empty()) out.csv.delimiter = d == "tab" || d == "\\t" ? '\t' : d[0];
  out.max_rows = args.Int("sample-rows");
  out.max_rows_given = args.Given("sample-rows");
  out.window = window;
  out.memory_bytes = args.Int("memory-limit") << 20;
  out.seed = session.context().seed;
  out.quiet = session.quiet();
  return out;
}

absl::StatusOr<Fitted> FitModel(const Recipe& given, const Sample& sample, const Session& session) {
  RETURN_IF_ERROR(CheckIgnored(given, sample.table));
  Recipe recipe = given;
  std::vector<outlier::Label> labels;
  if (!recipe.label.empty()) {
    ASSIGN_OR_RETURN(labels, ReadKnownLabels(sample.table, recipe.label, recipe.positive));
    labels = LabelsOf(std::move(labels), sample);
    recipe.prepare.ignore_columns.push_back(recipe.label);  // the answer is no feature
  }
  Fitted out;
  outlier::FitOptions options{recipe.algorithm, recipe.params, recipe.contamination, recipe.threshold};
  ASSIGN_OR_RETURN(table::Preparation preparation, table::Preparation::Fit(sample.table, recipe.prepare));
  ASSIGN_OR_RETURN(Matrix X, MatrixOf(preparation, sample));
  if (options.algorithm == "auto") {
    auto selection = outlier::Select(outlier::ProfileOf(sample.table, preparation, X));
    options.algorithm = selection.algorithm;
    options.params = std::move(selection.params);
    out.reason = std::move(selection.reason);
    out.picks = std::move(selection.picks);
  }
  ASSIGN_OR_RETURN(const outlier::Descriptor* descriptor, Algorithms().Find(options.algorithm));
  if (recipe.prepare.imputation == table::Imputation::kNone && descriptor->nan != outlier::NanPolicy::kNative) {
    return InvalidArgument("--imputation none: {} cannot take missing values; use median or mean", descriptor->name);
  }
  if (recipe.prepare.encoding == table::Encoding::kNative && !descriptor->categories) {
    return InvalidArgument("--encoding native: {} cannot split on categories; use onehot, frequency or ordinal", descriptor->name);
  }
  const table::PrepareOptions wanted = outlier::PrepareFor(*descriptor, recipe.prepare, recipe.open);
  if (wanted.scaling != recipe.prepare.scaling || wanted.imputation != recipe.prepare.imputation || wanted.encoding != recipe.prepare.encoding) {
    ASSIGN_OR_RETURN(preparation, table::Preparation::Fit(sample.table, wanted));
    ASSIGN_OR_RETURN(X, MatrixOf(preparation, sample));
  }
  if (descriptor->needs_labels) {
    options.labels = std::move(labels);
  } else if (!recipe.label.empty()) {
    out.hints.push_back(fmt::format("{} does not learn from labels: column '{}' is only left out", descriptor->name,
                                    explain::SafeText(recipe.label)));
  }
  if (!ApplyDevice(*descriptor, recipe.device, &options.params) && recipe.device.starts_with("cuda")) {
    out.hints.push_back(
        fmt::format("{} runs on the CPU: --device {} has no effect on it", descriptor->name, recipe.device));
  }
  for (auto& hint : LabelHints(sample.table, preparation)) out.hints.push_back(std::move(hint));
  Context ctx = session.context();
  Progress progress(fmt::format("fitting {}", descriptor->name), session.quiet());
  std::mutex one_at_a_time;  // an algorithm may report from any of its threads
  ctx.progress = [&](double share) {
    const std::lock_guard lock(one_at_a_time);
    progress.Update(share);
  };
  ASSIGN_OR_RETURN(out.model, outlier::Model::Fit(Algorithms(), options, std::move(preparation), X, ctx));
  return out;
}

absl::StatusOr<std::unique_ptr<outlier::Model>> LoadModel(const std::string& path) {
  const std::string shown = explain::SafeText(path, 200);
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return InvalidArgument("{}: is a folder, not a model file", shown);
  }
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return NotFound("{}: the model file cannot be opened: {}", shown, std::strerror(errno));
  std::string bytes;
  char buffer[1 << 16];
  size_t n = 0;
  while ((n = std::fread(buffer, 1, sizeof buffer, file)) > 0) bytes.append(buffer, n);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) return Unavailable("{}: the model file cannot be read", shown);
  auto model = outlier::Model::Parse(Algorithms(), bytes);
  if (!model.ok()) {
    return Annotate(model.status(), fmt::format("{}: not a usable model (make one with 'vedette fit')", shown));
  }
  return model;
}

absl::StatusOr<table::Schema> SchemaForModel(const Input& input, const table::CsvOptions& options,
                                             const outlier::Model& model) {
  ASSIGN_OR_RETURN(table::Schema schema, PeekSchema(input, options));
  std::set<std::string> used;
  for (const auto& feature : model.preparation().features()) used.insert(feature.source_column);
  std::vector<std::string> missing, names;
  for (const auto& column : schema) names.push_back(column.name);
  for (const auto& column : model.preparation().schema()) {
    const auto at = std::find_if(schema.begin(), schema.end(), [&](const auto& c) { return c.name == column.name; });
    if (at != schema.end()) {
      at->type = column.type;
    } else if (used.contains(column.name)) {
      missing.push_back(fmt::format("'{}'{}", explain::SafeText(column.name), DidYouMean(column.name, names)));
    }
  }
  if (missing.empty()) return schema;
  return InvalidArgument("{}: lacks {} that the model was fitted on: {}", input.name(),
                         missing.size() == 1 ? "a column" : fmt::format("{} columns", missing.size()),
                         fmt::join(missing, ", "));
}

void PrintReport(const table::ReadReport& report, const std::string& name, bool quiet) {
  constexpr size_t kShown = 5;
  if (quiet) return;
  for (const auto& note : report.notes) {
    fmt::print(stderr, "vedette: note: {}: {}\n", name, explain::SafeText(note, 300));
  }
  if (report.bad_cells == 0) return;
  fmt::print(stderr, "vedette: {}: {} bad cell{} treated as missing:\n", name, explain::FormatCount(report.bad_cells),
             report.bad_cells == 1 ? "" : "s");
  for (size_t i = 0; i < std::min(kShown, report.first_bad_cells.size()); ++i) {
    const auto& cell = report.first_bad_cells[i];
    fmt::print(stderr, "  line {}, column {}: '{}' {}\n", cell.line, explain::SafeText(cell.column),
               explain::SafeText(cell.text), cell.reason);
  }
  if (report.bad_cells > static_cast<int64_t>(kShown)) {
    fmt::print(stderr, "  and {} more\n", explain::FormatCount(report.bad_cells - static_cast<int64_t>(kShown)));
  }
}

}  // namespace vedette::cli
