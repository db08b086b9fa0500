#pragma once

#include "services/explainer/core/explainer.h"
#include "storage/pool.h"

namespace vedette::explainer {

class PgExplanationStore final : public ExplanationStore {
 public:
  explicit PgExplanationStore(storage::Pool* pool) : pool_(pool) {}
  absl::Status Write(const std::string& tenant, const std::vector<StoredExplanation>& all) override;
  absl::StatusOr<std::vector<StoredExplanation>> List(const std::string& tenant, const std::string& anomaly_id) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::explainer
