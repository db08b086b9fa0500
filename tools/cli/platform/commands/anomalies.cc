// vedette anomalies: what the platform found, and why.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/client.h"
#include "cli/platform/why.h"
#include "cli/terminal.h"
#include "explain/words.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"
#include "vedette/triage/v1/triage.grpc.pb.h"

namespace vedette::cli {
namespace {

using triage::v1::Anomaly;
using triage::v1::TriageService;

constexpr Flag kFlags[] = {
    {.name = "order-by",
     .type = FlagType::kText,
     .value_name = "TERMS",
     .default_value = "anomaly_score desc",
     .doc = "list: create_time, anomaly_score, severity or row_index, each with desc"},
    {.name = "refresh", .type = FlagType::kSwitch, .doc = "triage: ask the model again"},
    {.name = "method",
     .type = FlagType::kText,
     .value_name = "METHOD",
     .doc = "show: native (default), shap, tree_shap, exact, kernel_shap, lime, counterfactual, diffi or integrated_gradients"},
    {.name = "mode",
     .type = FlagType::kText,
     .value_name = "MODE",
     .doc = "show: path_dependent or interventional (tree_shap); around_row, around_mean or quartile (lime)"},
    {.name = "samples",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "0",
     .min = 0,
     .max = 1000000,
     .doc = "show: rows drawn by lime, coalitions by kernel_shap; 0: 5000 and 2048"},
    {.name = "frozen",
     .type = FlagType::kList,
     .value_name = "COLUMNS",
     .doc = "show: columns that the counterfactual may not change"},
    {.name = "format",
     .type = FlagType::kChoice,
     .value_name = "HOW",
     .default_value = "table",
     .choices = "table|json",
     .doc = "how it is printed"},
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (args.positionals() == 0) return;
  const std::string& action = args.At(0);
  if (action != "list" && action != "show" && action != "triage")
    mistakes->push_back(fmt::format("'{}' is none of list, show, triage", action));
  if (action != "list" && args.At(1).empty())
    mistakes->push_back(fmt::format("anomalies {} needs the anomaly's name", action));
}

std::string SeverityWord(const Anomaly& a) {
  static constexpr const char* kWords[] = {"", "low", "medium", "high", "critical"};
  return kWords[std::clamp(static_cast<int>(a.severity()), 0, 4)];
}

absl::StatusOr<int> List(const Platform& platform, const Args& args) {
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<TriageService>("triage"));
  triage::v1::ListAnomaliesRequest request;
  request.set_order_by(args.Text("order-by"));
  SetList(args, request);
  ASSIGN_OR_RETURN(const auto response,
                   runtime::Call(*stub, &TriageService::Stub::ListAnomalies, platform.Out(), request));
  if (args.Text("format") == "json") {
    fmt::print("{}", ToJson(response));
    return kOk;
  }
  for (const Anomaly& a : response.anomalies()) {
    fmt::print("{}  row {}, {}, score {}, probability {}\n", a.name(), explain::FormatCount(a.row_index()),
               SeverityWord(a), explain::FormatNumber(a.anomaly_score(), 4), explain::FormatPercent(a.probability()));
    for (int i = 0; i < std::min(3, a.anomalous_features_size()); ++i)
      fmt::print("    {}\n", Phrase(a.anomalous_features(i)));
  }
  if (response.anomalies_size() == 0) fmt::print("No anomalies.\n");
  SayMore(response.next_page_token());
  return kOk;
}

/// Text that a model wrote or that a service sends: plain, and no wider than the terminal.
void PrintWrapped(const std::string& text) {
  for (const std::string& line : Wrap(explain::SafeText(text, 4000), static_cast<size_t>(TerminalWidth(STDOUT_FILENO))))
    fmt::print("{}\n", line);
}

void PrintVerdict(const triage::v1::TriageVerdict& v) {
  using triage::v1::TriageVerdict;
  const char* opinion = v.opinion() == TriageVerdict::LIKELY_TRUE    ? "likely true"
                        : v.opinion() == TriageVerdict::LIKELY_FALSE ? "likely false"
                                                                     : "inconclusive";
  if (v.source() == "none") {
    fmt::print("Second opinion: none ({})\n", explain::SafeText(v.degraded_reason()));
  } else {
    fmt::print("Second opinion: {}, confidence {} ({}{}{})\n", opinion, explain::FormatPercent(v.confidence()),
               v.source(), v.degraded_reason().empty() ? "" : ", ", explain::SafeText(v.degraded_reason()));
    PrintWrapped(v.reason());
  }
  for (const std::string& check : v.next_checks()) PrintWrapped("- " + check);
}

absl::StatusOr<int> Triage(const Platform& platform, const Args& args) {
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<TriageService>("triage"));
  triage::v1::TriageAnomalyRequest request;
  request.set_anomaly(ResourceName("anomalies", args.At(1)));
  request.set_refresh(args.Switch("refresh"));
  ASSIGN_OR_RETURN(const auto verdict,
                   runtime::Call(*stub, &TriageService::Stub::TriageAnomaly, platform.Out(), request));
  if (args.Text("format") == "json")
    fmt::print("{}", ToJson(verdict));
  else
    PrintVerdict(verdict);
  return kOk;
}

absl::StatusOr<int> Show(const Platform& platform, const Args& args) {
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<TriageService>("triage"));
  triage::v1::GetAnomalyRequest request;
  request.set_name(ResourceName("anomalies", args.At(1)));
  ASSIGN_OR_RETURN(const Anomaly a, runtime::Call(*stub, &TriageService::Stub::GetAnomaly, platform.Out(), request));
  ASSIGN_OR_RETURN(const auto explainer, platform.Stub<explainer::v1::ExplainerService>("explainer"));
  explainer::v1::ExplainAnomalyRequest why;
  why.set_anomaly(a.name());
  why.set_method(args.Text("method"));
  why.set_mode(args.Text("mode"));
  why.set_samples(args.Int("samples"));
  for (const std::string& column : args.List("frozen")) why.add_frozen_columns(column);
  ASSIGN_OR_RETURN(const auto e, runtime::Call(*explainer, &explainer::v1::ExplainerService::Stub::ExplainAnomaly,
                                               platform.Out(), why));
  if (args.Text("format") == "json") {
    fmt::print("{{\"anomaly\": {}, \"explanation\": {}}}\n", ToJson(a), ToJson(e));
    return kOk;
  }
  fmt::print(
      "{}\n  row {} of {}, {}, status {}\n  severity {}, score {} (threshold {}), probability {}, confidence {}\n  "
      "found by {} ({})\n\n",
      a.name(), explain::FormatCount(a.row_index()), a.dataset(), a.job(), Anomaly::Status_Name(a.status()),
      SeverityWord(a), explain::FormatNumber(a.anomaly_score(), 4), explain::FormatNumber(a.threshold(), 4),
      explain::FormatPercent(a.probability()), explain::FormatPercent(a.confidence()),
      fmt::join(a.detection_methods(), ", "), a.model());
  fmt::print("{}", WhyText(e, static_cast<size_t>(TerminalWidth(STDOUT_FILENO))));
  if (a.has_triage_verdict()) {
    fmt::print("\n");
    PrintVerdict(a.triage_verdict());
  }
  return kOk;
}

absl::StatusOr<int> Run(const Args& args) {
  ASSIGN_OR_RETURN(const Platform platform, Platform::Open(args));
  if (args.At(0) == "triage") return Triage(platform, args);
  return args.At(0) == "list" ? List(platform, args) : Show(platform, args);
}

constexpr Positional kPositionals[] = {{"ACTION", "list, show or triage"},
                                       {.name = "NAME", .doc = "the anomaly, for show and triage", .required = false}};
const FlagGroup kGroups[] = {{"Anomalies", kFlags}, kListFlags, kHomeFlags};
constexpr Example kExamples[] = {
    {"vedette anomalies list --filter 'severity >= HIGH AND status = OPEN'", "the worst"},
    {"vedette anomalies show anomalies/0c5d...", "one, with its explanation and what is near it"},
    {"vedette anomalies show anomalies/0c5d... --method shap", "by Shapley values of its score"},
    {"vedette anomalies triage anomalies/0c5d...", "ask the language model for a second opinion"}};

}  // namespace

extern const Command k_anomalies;
const Command k_anomalies = {
    .name = "anomalies",
    .section = Section::kPlatform,
    .order = 7,
    .summary = "List what was found, show one with its explanation, or ask for a second opinion on it.",
    .usage = "vedette anomalies ACTION [NAME] [options]",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
