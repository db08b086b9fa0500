// Explanations: stored as findings come in, computed when somebody asks and none is stored.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "explain/explanation.h"
#include "outlier/model.h"

namespace vedette::explainer {

/// The only method so far; others come with libs/explain.
inline constexpr char kNative[] = "native";

struct StoredExplanation {
  std::string id;          ///< UUID derived from anomaly, method and model
  std::string anomaly_id;  ///< UUID
  explain::Explanation explanation;
  std::string text_source = "template";
  std::string degraded_reason;
  std::string model;
  absl::Time create_time;
};

/// What a finding says of itself, enough to name its row and its model.
struct Finding {
  std::string anomaly_id;
  std::string model;    ///< models/{model}
  std::string dataset;  ///< datasets/{dataset}
  int64_t row_index = 0;
  outlier::RowScore score;
  double threshold = 0;
};

/// A finding's model, and its row as that model sees it (one row each).
struct ModelRow {
  std::shared_ptr<const outlier::Model> model;
  Matrix features;
  table::Table table;
};

/// Other services, seen as one caller.
struct Sources {
  std::function<absl::StatusOr<Finding>(const std::string& anomaly_id)> finding;  ///< triage
  std::function<absl::StatusOr<ModelRow>(const Finding& finding)> row;             ///< model-cache, feature-engine
};

class ExplanationStore {
 public:
  virtual ~ExplanationStore() = default;
  /// Those that are there already stay as they are.
  virtual absl::Status Write(const std::string& tenant, const std::vector<StoredExplanation>& all) = 0;
  /// Oldest first; empty when there is none.
  virtual absl::StatusOr<std::vector<StoredExplanation>> List(const std::string& tenant, const std::string& anomaly_id) = 0;
};

/// A finding with the contributions that its detector already knew.
StoredExplanation FromContributions(const Finding& finding, const std::string& space,
                                    std::vector<outlier::FeatureContribution> features);

class Explainer {
 public:
  explicit Explainer(ExplanationStore* store) : store_(store) {}

  absl::Status Store(const std::string& tenant, const std::vector<StoredExplanation>& all) { return store_->Write(tenant, all); }
  absl::StatusOr<std::vector<StoredExplanation>> List(const std::string& tenant, const std::string& anomaly_id) {
    return store_->List(tenant, anomaly_id);
  }
  /// The stored explanation of this method, or a new one from model and row, which is stored. INVALID_ARGUMENT for an
  /// unknown method.
  absl::StatusOr<StoredExplanation> Explain(const std::string& tenant, const std::string& anomaly_id,
                                            const std::string& method, const Sources& sources, const Context& ctx);

 private:
  ExplanationStore* store_;
};

}  // namespace vedette::explainer
