#pragma once

#include "llm/assistant.h"
#include "services/explainer/ports/wording.h"

namespace vedette::explainer {

/// What the model is told of an answer: numbers and names as people see them, the largest part first.
llm::WordingInput FactsOf(const Finding& finding, const Answer& answer);

/// Words by a language model, where they say nothing but the numbers.
class LlmWording final : public Wording {
 public:
  explicit LlmWording(llm::Assistant* assistant) : assistant_(assistant) {}
  void Word(const std::string& tenant, const Finding& finding, Answer& answer, const Context& ctx) override;

 private:
  llm::Assistant* assistant_;
};

}  // namespace vedette::explainer
