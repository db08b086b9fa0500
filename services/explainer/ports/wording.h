// Words beside the template's.
#pragma once

#include <string>

#include "base/context.h"
#include "services/explainer/core/explanation.h"

namespace vedette::explainer {

/// Thread-safe.
class Wording {
 public:
  virtual ~Wording() = default;
  /// Called once the answer is complete, with the template's text in it. May replace explanation.text, and then sets
  /// text_source to "llm" or "cache"; those words are stored. When it cannot, it leaves the text and says why by
  /// answer.Degrade(). Numbers stay as they are. Ends before ctx.deadline.
  virtual void Word(const std::string& tenant, const Finding& finding, Answer& answer, const Context& ctx) = 0;
};

}  // namespace vedette::explainer
