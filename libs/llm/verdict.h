// A second opinion on a finding. Advice only: severity and status are never taken from it.
#pragma once

#include <string>
#include <vector>

#include "llm/wording.h"

namespace vedette::llm {

enum class Opinion { kInconclusive, kLikelyTrue, kLikelyFalse };

struct TriageInput {
  WordingInput finding;
  /// What somebody may be told to check; an answer names indices of this list.
  std::vector<std::string> allowed_checks;  ///< ours
  int similar_true = 0, similar_false = 0;  ///< outcomes of similar past incidents
};

struct TriageVerdict {
  bool ok = false;  ///< false: inconclusive, because of degraded_reason
  Opinion opinion = Opinion::kInconclusive;
  double confidence = 0;  ///< [0, 1], the model's own
  std::string reason;     ///< grounded as a wording is
  std::vector<std::string> checks;  ///< of the allowed ones, no doubles
  std::string degraded_reason;
  bool cached = false;
};

ChatRequest TriageRequest(const TriageInput& input, const Privacy& privacy);
/// Of {verdict, confidence, reason, checks[index]}: "schema", "ungrounded", "markup" or "".
std::string CheckTriage(const Json& answer, const TriageInput& input, const Privacy& privacy);
/// Asks and checks. `degraded_reason` "no_features" or "withheld" without asking, as Word.
TriageVerdict Triage(Client& client, const std::string& tenant, const TriageInput& input, const Privacy& privacy,
                     absl::Time deadline, std::stop_token stop = {});

}  // namespace vedette::llm
