// Explanations that are to be computed in the background.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "services/explainer/core/ask.h"

namespace vedette::explainer {

struct Task {
  std::string anomaly_id;
  Ask ask;
};

class TaskQueue {
 public:
  virtual ~TaskQueue() = default;
  /// Stored when it returns OK; a task that waits already is not doubled.
  virtual absl::Status Add(const std::string& tenant, const std::vector<Task>& tasks) = 0;
};

}  // namespace vedette::explainer
