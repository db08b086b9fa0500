// Second opinions: asks the language model, where there is one, and keeps what it says with the anomaly.
#pragma once

#include <absl/status/statusor.h>

#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "llm/assistant.h"
#include "services/triage/ports/anomaly_store.h"

namespace vedette::triage {

/// What somebody may be told to check about this anomaly, most useful first. A fixed list, chosen by what its features
/// are.
std::vector<std::string> AllowedChecks(const Anomaly& anomaly);

/// How alike two findings are: the cosine of their features' signed contributions, [-1, 1]; times 0.9 when both name an
/// entity and not the same. 0 when one has no contributions.
double Similarity(std::span<const Feature> a, const std::string& entity_a, std::span<const Feature> b,
                  const std::string& entity_b);

/// What the model is told of an anomaly. Numbers are written by us, never as the cells had them.
llm::TriageInput Facts(const Anomaly& anomaly, std::span<const Judged> judged);

class Triager {
 public:
  Triager(AnomalyStore* store, llm::Assistant* assistant, const Clock* clock = &Clock::System())
      : store_(store), assistant_(assistant), clock_(clock) {}

  /// The opinion that the model gave before, or (none, or `refresh`) a new one, which is kept. Ends in time for
  /// `deadline`, without the model's answer if need be. NOT_FOUND.
  absl::StatusOr<TriageVerdict> Triage(const std::string& tenant, const std::string& id, bool refresh,
                                       absl::Time deadline, std::stop_token stop = {});

 private:
  AnomalyStore* store_;
  llm::Assistant* assistant_;
  const Clock* clock_;
};

}  // namespace vedette::triage
