#include "services/job-orchestrator/adapters/fact_handlers.h"

#include <google/protobuf/util/json_util.h>

#include "base/status.h"
#include "services/job-orchestrator/adapters/proto.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::job_orchestrator {
namespace {

/// Parses the message and runs fn(event, job id, task number). A job that is gone (removed meanwhile) is no error.
template <typename Event, typename Fn>
messaging::Handler Handle(Fn fn) {
  return [fn](const messaging::Message& message, std::stop_token) {
    const auto run = [&]() -> absl::Status {
      Event event;
      if (!event.ParseFromString(message.event.data)) return InvalidArgument("{} cannot be parsed", message.event.type);
      if (event.tenant().empty() || event.tenant() != message.event.tenant) {
        return InvalidArgument("the tenant of the message and of its header differ");
      }
      ASSIGN_OR_RETURN(const auto task, TaskId("task", event.task()));
      const absl::Status status = fn(event, task.first, task.second);
      return absl::IsNotFound(status) ? absl::OkStatus() : status;
    };
    return messaging::Outcome::FromStatus(run(), message.deliveries);
  };
}

/// With the names of the proto; "{}" when nothing was weighed.
std::string Json(const common::v1::ModelSelection& selection) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  return google::protobuf::util::MessageToJsonString(selection, &text, options).ok() ? text : "{}";
}

}  // namespace

messaging::Handler ModelSelectedHandler(JobStore& jobs) {
  return [&jobs](const messaging::Message& message, std::stop_token) {
    const auto run = [&]() -> absl::Status {
      events::v1::ModelSelected e;
      if (!e.ParseFromString(message.event.data)) return InvalidArgument("{} cannot be parsed", message.event.type);
      if (e.tenant().empty() || e.tenant() != message.event.tenant) {
        return InvalidArgument("the tenant of the message and of its header differ");
      }
      return jobs.LogSelection(e.tenant(), {.id = e.selection_id(), .model = e.model(), .algorithm = e.algorithm(), .reason = e.reason(),
                                            .training_rows = e.training_rows(), .selection = Json(e.selection())});
    };
    return messaging::Outcome::FromStatus(run(), message.deliveries);
  };
}

messaging::Handler FitFinishedHandler(JobStore& jobs) {
  return Handle<events::v1::FitFinished>([&jobs](const auto& e, const std::string& job, int32_t) {
    return jobs.FitFinished(e.tenant(), job,
                            {.model = e.model(),
                             .feature_set = e.feature_set(),
                             .algorithm = e.algorithm(),
                             .selection_reason = e.selection_reason(),
                             .cache_hit = e.cache_hit(),
                             .training_rows = e.training_rows(),
                             .selection = Json(e.selection())});
  });
}

messaging::Handler StoredHandler(JobStore& jobs) {
  return Handle<events::v1::AnomaliesStored>([&jobs](const auto& e, const std::string& job, int32_t task) {
    return jobs.ScoreFinished(e.tenant(), job, task, e.rows_scored(), e.anomaly_count());
  });
}

messaging::Handler TaskFailedHandler(JobStore& jobs) {
  return Handle<events::v1::TaskFailed>([&jobs](const auto& e, const std::string& job, int32_t task) {
    return jobs.TaskFailed(e.tenant(), job, task, fmt::format("{}: {}", e.code(), e.message()));
  });
}

}  // namespace vedette::job_orchestrator
