// vedette anomalies: what the platform found, and why.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/client.h"
#include "cli/terminal.h"
#include "explain/words.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"
#include "vedette/triage/v1/triage.grpc.pb.h"

namespace vedette::cli {
namespace {

using triage::v1::Anomaly;
using triage::v1::TriageService;

constexpr Flag kFlags[] = {
    {.name = "filter", .type = FlagType::kText, .value_name = "EXPR", .doc = "list: for example severity >= HIGH AND status = OPEN"},
    {.name = "order-by", .type = FlagType::kText, .value_name = "TERMS", .default_value = "anomaly_score desc", .doc = "list: create_time, anomaly_score, severity or row_index, each with desc"},
    {.name = "page-size", .type = FlagType::kInt, .value_name = "N", .default_value = "20", .min = 1, .max = 1000, .doc = "list: how many"},
    {.name = "page-token", .type = FlagType::kText, .value_name = "TOKEN", .doc = "list: where the page before ended"},
    {.name = "format", .type = FlagType::kChoice, .value_name = "HOW", .default_value = "table", .choices = "table|json", .doc = "how it is printed"},
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (args.positionals() == 0) return;
  const std::string& action = args.At(0);
  if (action != "list" && action != "show") mistakes->push_back(fmt::format("'{}' is none of list, show", action));
  if (action == "show" && args.At(1).empty()) mistakes->push_back("anomalies show needs the anomaly's name");
}

std::string SeverityWord(const Anomaly& a) {
  static constexpr const char* kWords[] = {"", "low", "medium", "high", "critical"};
  return kWords[std::clamp(static_cast<int>(a.severity()), 0, 4)];
}

std::string Phrase(const common::v1::FeatureContribution& f) {
  return fmt::format("{} {}, expected {}", explain::SafeText(f.feature_name(), 24), explain::SafeText(f.actual_value().empty() ? "missing" : f.actual_value(), 24),
                     explain::SafeText(f.expected_value(), 24));
}

absl::StatusOr<int> List(const Platform& platform, const Args& args) {
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<TriageService>("triage"));
  triage::v1::ListAnomaliesRequest request;
  request.set_filter(args.Text("filter"));
  request.set_order_by(args.Text("order-by"));
  request.set_page_size(static_cast<int32_t>(args.Int("page-size")));
  request.set_page_token(args.Text("page-token"));
  ASSIGN_OR_RETURN(const auto response, runtime::Call(*stub, &TriageService::Stub::ListAnomalies, platform.Out(), request));
  if (args.Text("format") == "json") {
    fmt::print("{}", ToJson(response));
    return kOk;
  }
  for (const Anomaly& a : response.anomalies()) {
    fmt::print("{}  row {}, {}, score {}, probability {}\n", a.name(), explain::FormatCount(a.row_index()), SeverityWord(a),
               explain::FormatNumber(a.anomaly_score(), 4), explain::FormatPercent(a.probability()));
    for (int i = 0; i < std::min(3, a.anomalous_features_size()); ++i) fmt::print("    {}\n", Phrase(a.anomalous_features(i)));
  }
  if (response.anomalies_size() == 0) fmt::print("No anomalies.\n");
  if (!response.next_page_token().empty()) fmt::print("More: --page-token {}\n", response.next_page_token());
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
  ASSIGN_OR_RETURN(const auto e, runtime::Call(*explainer, &explainer::v1::ExplainerService::Stub::ExplainAnomaly, platform.Out(), why));
  if (args.Text("format") == "json") {
    fmt::print("{{\"anomaly\": {}, \"explanation\": {}}}\n", ToJson(a), ToJson(e));
    return kOk;
  }
  fmt::print("{}\n  row {} of {}, {}, status {}\n  severity {}, score {} (threshold {}), probability {}, confidence {}\n  found by {} ({})\n\n", a.name(),
             explain::FormatCount(a.row_index()), a.dataset(), a.job(), Anomaly::Status_Name(a.status()), SeverityWord(a),
             explain::FormatNumber(a.anomaly_score(), 4), explain::FormatNumber(a.threshold(), 4), explain::FormatPercent(a.probability()),
             explain::FormatPercent(a.confidence()), fmt::join(a.detection_methods(), ", "), a.model());
  for (const std::string& line : Wrap(e.text(), static_cast<size_t>(TerminalWidth(STDOUT_FILENO)))) fmt::print("{}\n", line);
  fmt::print("\n");
  for (const auto& c : e.contributions()) {
    fmt::print("  {:>4}  {}\n", explain::FormatPercent(c.share()), Phrase(c));
  }
  return kOk;
}

absl::StatusOr<int> Run(const Args& args) {
  ASSIGN_OR_RETURN(const Platform platform, Platform::Open(args));
  return args.At(0) == "list" ? List(platform, args) : Show(platform, args);
}

constexpr Positional kPositionals[] = {{"ACTION", "list or show"}, {.name = "NAME", .doc = "the anomaly, for show", .required = false}};
const FlagGroup kGroups[] = {{"Anomalies", kFlags}, kHomeFlags};
constexpr Example kExamples[] = {{"vedette anomalies list --filter 'severity >= HIGH'", "the worst"},
                                 {"vedette anomalies show anomalies/0c5d...", "one, with its explanation"}};

}  // namespace

extern const Command k_anomalies;
const Command k_anomalies = {
    .name = "anomalies",
    .section = Section::kPlatform,
    .order = 7,
    .summary = "List what was found, or show one with its explanation.",
    .usage = "vedette anomalies ACTION [NAME] [options]",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
