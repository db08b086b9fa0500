#include "services/triage/adapters/fact_handlers.h"

#include "base/status.h"
#include "services/triage/adapters/proto.h"

namespace vedette::triage {

messaging::Handler DetectedHandler(AnomalyStore& store) {
  return [&store](const messaging::Message& message, std::stop_token) {
    const auto run = [&]() -> absl::Status {
      events::v1::AnomaliesDetected event;
      if (!event.ParseFromString(message.event.data)) return InvalidArgument("{} cannot be parsed", message.event.type);
      if (event.tenant().empty() || event.tenant() != message.event.tenant) {
        return InvalidArgument("the tenant of the message and of its header differ");
      }
      ASSIGN_OR_RETURN(const TaskResult result, FromEvent(event));
      return store.Store(event.tenant(), result);
    };
    return messaging::Outcome::FromStatus(run(), message.deliveries);
  };
}

}  // namespace vedette::triage
