#include "services/triage/core/triager.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/status.h"

namespace vedette::triage {
namespace {

/// From here on two findings count as of the same kind.
constexpr double kSimilar = 0.8;
/// Checks that stand for the model's choice when it makes none.
constexpr size_t kFixedChecks = 3;

std::string Number(double value) {
  const bool whole = std::fabs(value) < 1e15 && value == std::floor(value);
  return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.6g}", value);
}

llm::FeatureFact FactOf(const Feature& f) {
  llm::FeatureFact fact{
      .name = f.name, .lag = f.lag, .direction = "usual", .share = fmt::format("{:.0f}%", 100 * f.share)};
  fact.numeric = f.actual_number || f.expected_number;
  if (fact.numeric) {
    fact.actual = f.actual_number ? Number(*f.actual_number) : "missing";
    fact.expected = f.expected_number ? Number(*f.expected_number) : "unknown";
    if (!f.actual_number)
      fact.direction = "missing";
    else if (f.expected_number && *f.actual_number > *f.expected_number)
      fact.direction = "high";
    else if (f.expected_number && *f.actual_number < *f.expected_number)
      fact.direction = "low";
  } else {
    fact.actual = f.actual.empty() ? "missing" : f.actual;
    fact.expected = f.expected;
    if (f.actual.empty())
      fact.direction = "missing";
    else if (f.actual != f.expected)
      fact.direction = "different";
  }
  return fact;
}

bool Any(const llm::WordingInput& finding, std::string_view direction) {
  return std::any_of(finding.features.begin(), finding.features.end(),
                     [&](const auto& f) { return f.direction == direction; });
}

llm::WordingInput FindingOf(const Anomaly& a) {
  static constexpr std::array<const char*, 5> kSeverity = {"", "low", "medium", "high", "critical"};
  llm::WordingInput finding{.subject = fmt::format("Row {}", a.row_index),
                            .severity = kSeverity[static_cast<size_t>(std::clamp(a.severity, 0, 4))],
                            .detector = a.detection_methods.empty() ? "" : a.detection_methods.front()};
  for (const Feature& f : a.features) finding.features.push_back(FactOf(f));
  return finding;
}

std::vector<std::string> ChecksFor(const Anomaly& a, const llm::WordingInput& finding) {
  std::vector<std::string> checks;
  if (Any(finding, "high") || Any(finding, "low")) {
    checks.push_back("Compare the values with the document or system that they come from.");
    checks.push_back("Check unit, sign and decimal point of the values.");
  }
  if (Any(finding, "missing"))
    checks.push_back("Find out why the cell is empty: not recorded, lost on the way, or really nothing.");
  if (Any(finding, "different"))
    checks.push_back("Check whether the category is new, misspelt or taken from the row beside it.");
  if (!a.entity.empty()) checks.push_back("Look at the same entity in the periods before and after.");
  checks.push_back("Compare the row with others of the same kind.");
  checks.push_back("Look for a duplicate of the row, or one that cancels it.");
  checks.push_back("Find out whether something changed just before: a release, a tariff, a campaign, a stock count.");
  checks.push_back("Ask whoever owns the data whether this was planned.");
  return checks;
}

}  // namespace

std::vector<std::string> AllowedChecks(const Anomaly& anomaly) { return ChecksFor(anomaly, FindingOf(anomaly)); }

double Similarity(std::span<const Feature> a, const std::string& entity_a, std::span<const Feature> b,
                  const std::string& entity_b) {
  std::map<std::string, double> of_b;
  double aa = 0, bb = 0, ab = 0;
  for (const Feature& f : b) {
    of_b[f.name] += f.contribution;
    bb += f.contribution * f.contribution;
  }
  for (const Feature& f : a) {
    aa += f.contribution * f.contribution;
    if (const auto it = of_b.find(f.name); it != of_b.end()) ab += f.contribution * it->second;
  }
  if (!(aa > 0 && bb > 0)) return 0;
  const bool others = !entity_a.empty() && !entity_b.empty() && entity_a != entity_b;
  return ab / std::sqrt(aa * bb) * (others ? 0.9 : 1.0);
}

llm::TriageInput Facts(const Anomaly& anomaly, std::span<const Judged> judged) {
  llm::TriageInput input{.finding = FindingOf(anomaly)};
  input.allowed_checks = ChecksFor(anomaly, input.finding);
  for (const Judged& j : judged) {
    if (Similarity(anomaly.features, anomaly.entity, j.features, j.entity) < kSimilar) continue;
    if (j.verdict == Verdict::kConfirmed) ++input.similar_true;
    if (j.verdict == Verdict::kFalseAlarm) ++input.similar_false;
  }
  return input;
}

absl::StatusOr<TriageVerdict> Triager::Triage(const std::string& tenant, const std::string& id, bool refresh,
                                              absl::Time deadline, std::stop_token stop) {
  ASSIGN_OR_RETURN(const Anomaly anomaly, store_->Get(tenant, id));
  if (!refresh && anomaly.verdict && anomaly.verdict->source != kNoSource) return *anomaly.verdict;
  std::vector<Judged> judged;
  if (assistant_->on()) {
    ASSIGN_OR_RETURN(judged, store_->ListJudged(tenant, anomaly));
  }
  const llm::TriageInput facts = Facts(anomaly, judged);
  llm::TriageVerdict said = assistant_->Triage(tenant, facts, llm::AnswerBy(deadline, clock_->Now()), std::move(stop));
  TriageVerdict verdict{.degraded_reason = std::move(said.degraded_reason), .create_time = clock_->Now()};
  if (said.ok) {
    static constexpr std::array<Opinion, 3> kOpinions = {Opinion::kInconclusive, Opinion::kLikelyTrue,
                                                         Opinion::kLikelyFalse};
    verdict.opinion = kOpinions[static_cast<size_t>(said.opinion)];
    verdict.confidence = said.confidence;
    verdict.reason = std::move(said.reason);
    verdict.next_checks = std::move(said.checks);
    verdict.source = said.cached ? "cache" : "llm";
  } else {
    const size_t count = std::min(kFixedChecks, facts.allowed_checks.size());
    verdict.next_checks.assign(facts.allowed_checks.begin(),
                               facts.allowed_checks.begin() + static_cast<std::ptrdiff_t>(count));
  }
  RETURN_IF_ERROR(store_->SetVerdict(tenant, id, verdict));
  return verdict;
}

}  // namespace vedette::triage
