// Explanations in the background: tasks in the work stream, and the worker that takes them.
#pragma once

#include <functional>

#include "messaging/consume.h"
#include "messaging/publish.h"
#include "services/explainer/core/explainer.h"

namespace vedette::explainer {

/// Tasks of more than this many deliveries go to the dead letters.
inline constexpr int kTaskDeliveries = 6;

/// work.explain.<anomaly>. A task's id is what it asks, so that asking twice within ten minutes is one message; later
/// the stored explanation makes it short.
class NatsTaskQueue final : public TaskQueue {
 public:
  explicit NatsTaskQueue(messaging::Publisher* publisher) : publisher_(publisher) {}
  absl::Status Add(const std::string& tenant, const std::vector<Task>& tasks) override;

 private:
  messaging::Publisher* publisher_;
};

/// `sources` gives other services as this one may see them for a tenant. A task that cannot be done goes to the dead
/// letters; others are tried again.
messaging::Handler TaskHandler(
    Explainer& explainer, std::function<absl::StatusOr<Sources>(const messaging::Message&, std::stop_token)> sources,
    absl::Duration limit, ThreadPool* pool);

}  // namespace vedette::explainer
