#include "services/detector/adapters/llm_reranker.h"

#include <fmt/format.h>

namespace vedette::detector {
namespace {

/// Which of the costs a reader compares: seconds for this table, in words that stay the same on every machine.
std::string Evidence(const outlier::Pick& pick, int64_t rows) {
  const double seconds = pick.cost.fit_seconds + pick.cost.score_seconds_per_row * static_cast<double>(rows);
  std::string text = pick.reason;
  if (pick.expected_quality > 0) text += fmt::format("; expected ROC AUC {:.2f}", pick.expected_quality);
  return text + fmt::format("; about {:.2g} seconds to fit and score", seconds);
}

}  // namespace

outlier::RerankAnswer LlmReranker::Rerank(const outlier::RerankQuestion& question, const Context& ctx) {
  llm::RerankInput input;
  for (const outlier::Pick& pick : question.available) {
    input.candidates.push_back({.name = pick.algorithm, .evidence = Evidence(pick, question.sample_size)});
  }
  input.meta_features = {{"sample_size", static_cast<double>(question.sample_size)},
                         {"feature_count", static_cast<double>(question.features)},
                         {"seasonality", question.seasonality},
                         {"trend", question.trend},
                         {"skewness", question.skewness},
                         {"kurtosis", question.kurtosis},
                         {"volatility", question.volatility}};
  llm::Reranked reply = assistant_.Rerank(tenant_, input, llm::AnswerBy(ctx.deadline, absl::Now()), ctx.stop);
  outlier::RerankAnswer out{.picks = {},
                            .why_not = std::move(reply.degraded_reason),
                            .prompt = std::move(reply.prompt_json),
                            .answer = std::move(reply.answer_json)};
  if (!reply.ok) return out;
  for (std::string& name : reply.order) {
    const bool first = out.picks.empty();
    out.picks.push_back(
        {.algorithm = std::move(name), .why = first ? reply.reason : "", .expected_performance = 0, .cost = ""});
  }
  return out;
}

}  // namespace vedette::detector
