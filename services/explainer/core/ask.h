// What somebody asks of a finding: a method and how it is to work. Everything here comes from outside until Check.
#pragma once

#include <absl/status/status.h>

#include <string>

#include "explain/methods.h"

namespace vedette::explainer {

struct Ask {
  std::string method;              ///< empty: native
  explain::MethodOptions options;  ///< background_rows is the service's
  bool numbers_only = false;       ///< no counterfactual, unless it is the method, and nothing of what is near
};

/// Fills in the method, sorts and bounds the lists. INVALID_ARGUMENT names the field and what would be right.
absl::Status Check(Ask* ask);

/// Canonical JSON of everything that changes the numbers, beside method, model and row: equal asks have equal texts,
/// whatever the order of their lists. "{}" for methods that have no settings.
std::string ConfigOf(const Ask& ask);

/// The explanation's id: the same finding, method, model and config give the same one.
std::string ExplanationId(const std::string& anomaly_id, const std::string& method, const std::string& model,
                          const std::string& config);

}  // namespace vedette::explainer
