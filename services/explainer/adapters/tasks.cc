#include "services/explainer/adapters/tasks.h"

#include "base/hash.h"
#include "base/status.h"
#include "runtime/resource_name.h"
#include "services/explainer/adapters/proto.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::explainer {
namespace {

constexpr absl::Duration kPublishTime = absl::Seconds(10);

/// The same task would fail the same way again.
bool IsFinal(const absl::Status& s) {
  return absl::IsInvalidArgument(s) || absl::IsNotFound(s) || absl::IsFailedPrecondition(s) || absl::IsDataLoss(s) ||
         absl::IsUnimplemented(s) || absl::IsOutOfRange(s) || absl::IsPermissionDenied(s);
}

messaging::OutgoingMessage MessageOf(const std::string& tenant, const Task& task) {
  events::v1::ExplainTask m;
  m.set_tenant(tenant);
  m.set_anomaly("anomalies/" + task.anomaly_id);
  ToProto(task.ask, &m);
  messaging::OutgoingMessage out;
  out.subject = "work.explain." + task.anomaly_id;
  out.event = {.id = {},
               .source = "vedette/explainer",
               .type = "vedette.work.explain.v1",
               .time = absl::Now(),
               .subject = {},
               .tenant = tenant};
  out.event.data = m.SerializeAsString();
  out.event.id = Sha256Hex(out.event.data).substr(0, 32);
  return out;
}

}  // namespace

absl::Status NatsTaskQueue::Add(const std::string& tenant, const std::vector<Task>& tasks) {
  std::vector<messaging::OutgoingMessage> messages;
  for (const Task& task : tasks) messages.push_back(MessageOf(tenant, task));
  for (const auto& ack : publisher_->PublishBatch(messages, absl::Now() + kPublishTime)) RETURN_IF_ERROR(ack.status());
  return absl::OkStatus();
}

messaging::Handler TaskHandler(
    Explainer& explainer, std::function<absl::StatusOr<Sources>(const messaging::Message&, std::stop_token)> sources,
    absl::Duration limit, ThreadPool* pool) {
  return
      [&explainer, sources = std::move(sources), limit, pool](const messaging::Message& message, std::stop_token stop) {
        const auto run = [&]() -> absl::Status {
          events::v1::ExplainTask task;
          if (!task.ParseFromString(message.event.data))
            return InvalidArgument("{} cannot be parsed", message.event.type);
          if (task.tenant().empty() || task.tenant() != message.event.tenant) {
            return InvalidArgument("the tenant of the message and of its header differ");
          }
          ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", task.anomaly()));
          ASSIGN_OR_RETURN(const Sources seen, sources(message, stop));
          const Context ctx{.pool = pool, .stop = stop, .deadline = absl::Now() + limit};
          return explainer.Compute(task.tenant(), id, AskOf(task), seen, ctx);
        };
        const absl::Status status = run();
        if (!IsFinal(status)) return messaging::Outcome::FromStatus(status, message.deliveries);
        return messaging::Outcome::Poison(std::string(Message(status)));
      };
}

}  // namespace vedette::explainer
