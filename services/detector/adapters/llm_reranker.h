// A language model as the second opinion on what `auto` proposes, for one tenant. It is told figures only.
#pragma once

#include <string>

#include "llm/assistant.h"
#include "outlier/reranker.h"

namespace vedette::detector {

class LlmReranker final : public outlier::Reranker {
 public:
  /// `assistant` outlives this.
  LlmReranker(llm::Assistant& assistant, std::string tenant) : assistant_(assistant), tenant_(std::move(tenant)) {}
  /// Answered before the context's deadline, with time left to train; the names are those of the question, each once.
  outlier::RerankAnswer Rerank(const outlier::RerankQuestion& question, const Context& ctx) override;
  /// For Remote: nothing when the model is off.
  outlier::Reranker* IfOn() { return assistant_.on() ? this : nullptr; }

 private:
  llm::Assistant& assistant_;
  std::string tenant_;
};

}  // namespace vedette::detector
