// Where findings and explanations live. Every method is one transaction.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/explainer/core/explanation.h"

namespace vedette::explainer {

class ExplanationStore {
 public:
  virtual ~ExplanationStore() = default;
  /// Findings, and explanations of them or of others. Those that are there already stay as they are.
  virtual absl::Status Write(const std::string& tenant, const std::vector<Finding>& findings,
                             const std::vector<StoredExplanation>& explanations) = 0;
  /// Oldest first; empty when there is none.
  virtual absl::StatusOr<std::vector<StoredExplanation>> List(const std::string& tenant,
                                                              const std::string& anomaly_id) = 0;
  /// Nothing when it is not known here (yet).
  virtual absl::StatusOr<std::optional<Finding>> FindFinding(const std::string& tenant,
                                                             const std::string& anomaly_id) = 0;
  /// An explanation of any finding with the same model, row, method and config.
  virtual absl::StatusOr<std::optional<StoredExplanation>> FindEqual(const std::string& tenant,
                                                                     const StoredExplanation& like) = 0;
  /// Findings of the same algorithm that share a driver, with their outcomes: the newest 1000 and the 1000 judged last.
  /// Not the same row of the same dataset.
  virtual absl::StatusOr<std::vector<SimilarIncident>> Candidates(const std::string& tenant,
                                                                  const Finding& finding) = 0;
  /// Rows of findings of the same dataset, model, entity and metric, up to the time of this one. FAILED_PRECONDITION
  /// when there are more than 50 000.
  virtual absl::StatusOr<std::set<int64_t>> OddRows(const std::string& tenant, const Finding& finding) = 0;
  /// Keeps the latest word by its time.
  virtual absl::Status SetOutcome(const std::string& tenant, const Outcome& outcome) = 0;
  /// Other words for what is stored: text and text_source of `explanation`.
  virtual absl::Status SetText(const std::string& tenant, const StoredExplanation& explanation) = 0;
};

}  // namespace vedette::explainer
