// Other services, seen as one caller.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "explain/prepared_model.h"
#include "services/explainer/core/explanation.h"
#include "table/table.h"

namespace vedette::explainer {

/// A finding's model, and its row as that model sees it.
struct ModelRow {
  std::shared_ptr<const explain::PreparedModel> model;
  Matrix features;     ///< one row
  table::Table table;  ///< the row, after those of its history where the model has windows
};

struct Sources {
  std::function<absl::StatusOr<Finding>(const std::string& anomaly_id)> finding;  ///< triage
  std::function<absl::StatusOr<ModelRow>(const Finding& finding)> row;            ///< model-cache, feature-engine
  /// Ingest: of the finding's entity or of all, in the time before it, latest first.
  std::function<absl::StatusOr<std::vector<ChangeEvent>>(const Finding& finding)> changes;
  /// Benchmark: of the finding's entity and metric (or all of its metrics), in the latest period before it.
  std::function<absl::StatusOr<std::vector<PeerStanding>>(const Finding& finding)> peers;
  /// Ingest: the rows of the finding's dataset in order of time; null when it has no timestamps. Asked only for
  /// findings that have a time.
  std::function<absl::StatusOr<std::shared_ptr<const explain::Timeline>>(const Finding& finding)> timeline;
};

}  // namespace vedette::explainer
