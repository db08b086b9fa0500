#pragma once

#include "services/explainer/ports/explanation_store.h"
#include "storage/pool.h"

namespace vedette::explainer {

class PgExplanationStore final : public ExplanationStore {
 public:
  explicit PgExplanationStore(storage::Pool* pool) : pool_(pool) {}
  absl::Status Write(const std::string& tenant, const std::vector<Finding>& findings,
                     const std::vector<StoredExplanation>& explanations) override;
  absl::StatusOr<std::vector<StoredExplanation>> List(const std::string& tenant,
                                                      const std::string& anomaly_id) override;
  absl::StatusOr<std::optional<Finding>> FindFinding(const std::string& tenant, const std::string& anomaly_id) override;
  absl::StatusOr<std::optional<StoredExplanation>> FindEqual(const std::string& tenant,
                                                             const StoredExplanation& like) override;
  absl::StatusOr<std::vector<SimilarIncident>> Candidates(const std::string& tenant, const Finding& finding) override;
  absl::StatusOr<std::set<int64_t>> OddRows(const std::string& tenant, const Finding& finding) override;
  absl::Status SetOutcome(const std::string& tenant, const Outcome& outcome) override;
  absl::Status SetText(const std::string& tenant, const StoredExplanation& explanation) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::explainer
