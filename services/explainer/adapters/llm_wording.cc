#include "services/explainer/adapters/llm_wording.h"

#include <fmt/format.h>

#include <cmath>

#include "explain/words.h"

namespace vedette::explainer {

llm::WordingInput FactsOf(const Finding& finding, const Answer& answer) {
  const explain::Explanation& e = answer.explanation.explanation;
  llm::WordingInput input{.subject = fmt::format("Row {}", finding.row_index),
                          .severity = std::string(outlier::SeverityName(finding.score.severity)),
                          .detector = finding.algorithm,
                          .no_single_driver = e.no_single_driver};
  for (const explain::Contribution& c : e.contributions) {
    llm::FeatureFact fact{.name = c.feature_name,
                          .lag = c.lag,
                          .direction = std::string(explain::DirectionName(c.direction)),
                          .share = explain::FormatPercent(c.share)};
    // Numbers as we write them; whatever else a cell holds is text from outside.
    fact.numeric = c.numeric && (std::isfinite(c.actual) || c.direction == explain::Direction::kMissing);
    fact.actual = fact.numeric ? explain::ActualWords(c) : c.actual_text;
    fact.expected = fact.numeric ? explain::ExpectedWords(c) : c.expected_text;
    input.features.push_back(std::move(fact));
  }
  for (const SimilarIncident& s : answer.similar) {
    input.incidents.push_back(
        fmt::format("anomalies/{} ({})", s.finding.anomaly_id, s.outcome.empty() ? "not judged" : s.outcome));
  }
  return input;
}

void LlmWording::Word(const std::string& tenant, const Finding& finding, Answer& answer, const Context& ctx) {
  const llm::Wording words =
      assistant_->Word(tenant, FactsOf(finding, answer), llm::AnswerBy(ctx.deadline, absl::Now()), ctx.stop);
  if (words.ok) {
    answer.explanation.explanation.text = words.text;
    answer.explanation.text_source = words.cached ? "cache" : "llm";
  }
  if (!words.degraded_reason.empty()) answer.Degrade(fmt::format("language model: {}", words.degraded_reason));
}

}  // namespace vedette::explainer
