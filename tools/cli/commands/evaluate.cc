// vedette evaluate: how well, how fast and in how much memory algorithms find labelled anomalies.
#include <fmt/format.h>

#include <limits>

#include "base/status.h"
#include "cli/command.h"
#include "cli/evaluation.h"
#include "cli/output.h"
#include "cli/recipe.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "label",
     .type = FlagType::kText,
     .value_name = "COLUMN",
     .doc = "the column that says which rows are anomalies; hidden from the algorithm, or from the fold that scores "
            "the row (needed)",
     .letter = 'l'},
    {.name = "positive",
     .type = FlagType::kText,
     .value_name = "VALUE",
     .doc = "the label that means anomaly (default: 1, true, yes, anomaly, outlier)"},
    {.name = "algorithm",
     .type = FlagType::kList,
     .value_name = "A,B",
     .default_value = "all",
     .doc = "algorithms to measure, or all",
     .letter = 'a'},
    {.name = "param",
     .type = FlagType::kPairs,
     .value_name = "NAME=VALUE",
     .doc = "a parameter of the one algorithm, or ALGORITHM.NAME=VALUE",
     .letter = 'p'},
    {.name = "repeat",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "1",
     .min = 1,
     .max = 1000,
     .doc = "runs: seconds are medians; random algorithms take seed, seed+1, ... and report mean quality"},
    {.name = "scaling",
     .type = FlagType::kChoice,
     .value_name = "HOW",
     .default_value = "none",
     .choices = "none|standard|robust",
     .doc = "what is done to the numbers first"},
    kWindowFlag,
    {.name = "ignore-columns",
     .type = FlagType::kList,
     .value_name = "A,B",
     .doc = "columns not to look at",
     .letter = 'x'},
    {.name = "delimiter", .type = FlagType::kText, .value_name = "CHAR", .doc = "what separates fields, or 'tab'"},
    {.name = "device",
     .type = FlagType::kText,
     .value_name = "DEVICE",
     .default_value = "auto",
     .doc = "auto, cpu or cuda:N; where neural algorithms train"},
    {.name = "seed",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "42",
     .min = 0,
     .max = 9e18,
     .doc = "of the first run"},
    {.name = "threads",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "1",
     .min = 0,
     .max = 1024,
     .doc = "one, so that seconds compare; 0: as many as this process may use"},
    {.name = "format",
     .type = FlagType::kChoice,
     .default_value = "table",
     .choices = "table|json|csv",
     .doc = "how the result is written",
     .letter = 'f'},
    {.name = "output",
     .type = FlagType::kText,
     .value_name = "FILE",
     .doc = "write there instead of standard output",
     .letter = 'o'},
    {.name = "quiet", .type = FlagType::kSwitch, .doc = "only the result; no progress or notes", .letter = 'q'},
};

struct Candidate {
  const outlier::Descriptor* descriptor;
  bool named;  ///< by itself, not by "all"
  std::map<std::string, std::string> params;
};

/// The algorithms to run with the parameters of each; what is wrong with them is appended to `mistakes`.
std::vector<Candidate> Candidates(const Args& args, std::vector<std::string>* mistakes) {
  std::vector<Candidate> out;
  for (const auto& name : args.List("algorithm")) {
    if (name == "all") {
      for (const auto* d : Algorithms().all()) out.push_back({d, false, {}});
    } else if (const auto found = Algorithms().Find(name); found.ok()) {
      out.push_back({*found, true, {}});
    } else {
      mistakes->push_back(fmt::format("--algorithm: {}", Message(found.status())));
    }
  }
  for (const auto& [key, value] : args.Pairs("param")) {
    const size_t dot = key.find('.');
    const std::string owner = dot == std::string::npos ? "" : key.substr(0, dot);
    const std::string name = dot == std::string::npos ? key : key.substr(dot + 1);
    if (owner.empty() && out.size() > 1) {
      mistakes->push_back(fmt::format("--param {}: with several algorithms write ALGORITHM.{}={}", key, key, value));
      continue;
    }
    bool used = false;
    for (auto& candidate : out) {
      if (!owner.empty() && candidate.descriptor->name != owner) continue;
      candidate.params[name] = value;
      used = true;
    }
    if (!used && !out.empty())
      mistakes->push_back(fmt::format("--param {}: {} is not among the algorithms", key, owner));
  }
  for (auto& candidate : out) CheckParams(*candidate.descriptor, candidate.params, mistakes);
  return out;
}

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (args.Text("label").empty())
    mistakes->push_back("--label is missing: the column that says which rows are anomalies");
  if (const std::string& d = args.Text("delimiter"); d.size() > 1 && d != "tab") {
    mistakes->push_back(fmt::format("--delimiter must be one character or 'tab', not '{}'", d));
  }
  CheckDevice(args, mistakes);
  Candidates(args, mistakes);
}

std::string TableText(const std::vector<Measurement>& all) {
  std::string out = fmt::format("{:<14} {:>8} {:>8} {:>8} {:>10} {:>10} {:>9}\n", "algorithm", "roc_auc", "avg_prec",
                                "prec@n", "fit s", "score s", "peak MB");
  for (const auto& m : all) {
    out += fmt::format("{:<14} {:>8.4f} {:>8.4f} {:>8.4f} {:>10} {:>10} {:>9.1f}\n", m.algorithm, m.quality.roc_auc,
                       m.quality.average_precision, m.quality.precision_at_n, explain::FormatNumber(m.fit_seconds),
                       explain::FormatNumber(m.score_seconds), static_cast<double>(m.peak_rss_bytes) / (1 << 20));
  }
  return out;
}

Json ToJson(const Measurement& m) {
  Json json;
  json["algorithm"] = m.algorithm;
  json["rows"] = m.rows;
  json["features"] = m.features;
  json["roc_auc"] = m.quality.roc_auc;
  json["average_precision"] = m.quality.average_precision;
  json["precision_at_n"] = m.quality.precision_at_n;
  json["fit_seconds"] = m.fit_seconds;
  json["score_seconds"] = m.score_seconds;
  json["fit_cpu_seconds"] = m.fit_cpu_seconds;
  json["score_cpu_seconds"] = m.score_cpu_seconds;
  json["peak_rss_bytes"] = m.peak_rss_bytes;
  return json;
}

std::string Format(const std::string& format, const std::vector<Measurement>& all) {
  if (format == "table") return TableText(all);
  Json rows = Json::array();
  for (const auto& m : all) rows.push_back(ToJson(m));
  if (format == "json") return Dump(rows, 2) + "\n";
  std::string out;
  const Json names = ToJson(Measurement{});
  for (const auto& [key, value] : names.items()) out += (out.empty() ? "" : ",") + key;
  out += "\n";
  for (const auto& row : rows) {
    std::string line;
    for (const auto& [key, value] : row.items()) {
      line += (line.empty() ? "" : ",") + (value.is_string() ? value.get<std::string>() : Dump(value));
    }
    out += line + "\n";
  }
  return out;
}

absl::StatusOr<LabelledData> ReadLabelled(const Args& args, const Session& session) {
  ASSIGN_OR_RETURN(const Input input, Input::Open(args.At(0)));
  SampleOptions options;
  const std::string& d = args.Text("delimiter");
  if (!d.empty()) options.csv.delimiter = d == "tab" ? '\t' : d[0];
  options.max_rows = options.memory_bytes = std::numeric_limits<int64_t>::max();  // quality is that of all rows
  options.quiet = session.quiet();
  ASSIGN_OR_RETURN(const Sample sample, ReadSample(input, options));
  PrintReport(sample.report, input.name(), session.quiet());
  LabelOptions labels{args.Text("label"), args.Text("positive"), args.List("ignore-columns"), args.Text("scaling"),
                      static_cast<int>(args.Int("window"))};
  auto data = SplitLabels(sample.table, labels);
  if (!data.ok()) return Annotate(data.status(), input.name());
  for (const auto& note : data->notes) {
    if (!session.quiet()) fmt::print(stderr, "vedette: note: {}: {}\n", input.name(), explain::SafeText(note, 300));
  }
  return data;
}

absl::StatusOr<int> Run(const Args& args) {
  const Session session(args);
  std::vector<std::string> none;
  const std::vector<Candidate> candidates = Candidates(args, &none);
  ASSIGN_OR_RETURN(const LabelledData data, ReadLabelled(args, session));
  ASSIGN_OR_RETURN(Output out, Output::Open(args.Text("output")));
  std::vector<Measurement> all;
  int code = kOk;
  for (const auto& candidate : candidates) {
    auto params = candidate.params;
    ApplyDevice(*candidate.descriptor, args.Text("device"), &params);
    ASSIGN_OR_RETURN(const auto set, outlier::ParamSet::Make(candidate.descriptor->params, params));
    auto measured = Measure(*candidate.descriptor, set, data, static_cast<int>(args.Int("repeat")), session.context());
    if (measured.ok()) {
      all.push_back(*std::move(measured));
      continue;
    }
    // `all` means all that this installation can run: a module that is not installed is no failure then.
    const bool skipped = !candidate.named && absl::IsFailedPrecondition(measured.status());
    fmt::print(stderr, "vedette evaluate: {}{}: {}\n", skipped ? "left out: " : "", candidate.descriptor->name,
               Message(measured.status()));
    if (!skipped) code = kFailed;
  }
  if (args.Text("format") == "table" && !session.quiet()) {
    out.Write(fmt::format("{}: {} rows, {} features, {} anomalies\n", explain::SafeText(args.At(0), 200),
                          explain::FormatCount(data.X.rows()), data.X.cols(),
                          explain::FormatCount(std::count(data.labels.begin(), data.labels.end(), 1))));
  }
  out.Write(Format(args.Text("format"), all));
  RETURN_IF_ERROR(out.Commit());
  return code;
}

constexpr Positional kPositionals[] = {{"FILE", "a CSV file, plain or gzip, or - for standard input"}};
const FlagGroup kGroups[] = {{"Options", kFlags}};
constexpr Example kExamples[] = {
    {"vedette evaluate labelled.csv --label is_fraud --algorithm iforest,ecod,knn", "compare three algorithms"},
    {"vedette evaluate labelled.csv --label is_fraud --repeat 5 -f json", "all of them, five runs each, as JSON"},
};

}  // namespace

extern const Command k_evaluate;
const Command k_evaluate = {
    .name = "evaluate",
    .section = Section::kModels,
    .order = 3,
    .summary = "Measure algorithms against known labels.",
    .usage = "vedette evaluate FILE --label COLUMN [--algorithm A,B|all] [options]",
    .details =
        "One line per algorithm: ROC AUC, average precision, precision at n (n = number of anomalies), seconds to fit "
        "and to "
        "score, and peak memory. The numbers of the file are used as they are (no scaling, no column left out), and "
        "quality is "
        "that of the training scores, as published comparisons measure it. Algorithms that learn from labels (devnet) are "
        "cross-validated instead: five folds with the same share of anomalies, each row scored by the model that saw neither "
        "the row nor its label.",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
