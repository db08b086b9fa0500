#include "services/detector/adapters/task_worker.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "base/ids.h"
#include "base/status.h"
#include "runtime/log.h"
#include "services/detector/adapters/llm_reranker.h"
#include "services/detector/adapters/proto.h"
#include "services/detector/adapters/remote.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::detector {
namespace {

namespace pb = events::v1;

/// Longest that one task may take; a task that is still alive is not given to others meanwhile.
constexpr absl::Duration kTaskDeadline = absl::Hours(6);
/// Anomalies in one message; well below the server's largest message.
constexpr int kPartAnomalies = 200;
constexpr size_t kPartBytes = 512 << 10;

/// Errors that come from the task itself: the same task would fail the same way again.
bool IsFinal(const absl::Status& s) {
  return absl::IsInvalidArgument(s) || absl::IsNotFound(s) || absl::IsFailedPrecondition(s) || absl::IsOutOfRange(s) ||
         absl::IsUnimplemented(s) || absl::IsDataLoss(s) || absl::IsPermissionDenied(s);
}

template <typename Task>
absl::StatusOr<Task> Parse(const messaging::Message& message) {
  Task task;
  if (!task.ParseFromString(message.event.data)) return InvalidArgument("{} cannot be parsed", message.event.type);
  if (task.tenant().empty() || task.tenant() != message.event.tenant) {
    return InvalidArgument("the tenant of the message and of its header differ");
  }
  return task;
}

void ToProto(const Found& found, const pb::ScoreTask& task, pb::DetectedAnomaly* out) {
  out->set_anomaly("anomalies/" + DerivedUuid(fmt::format("{}/{}/{}", task.tenant(), task.job(), found.row_index)));
  out->set_row_index(found.row_index);
  out->set_score(found.score.score);
  out->set_probability(found.score.probability);
  out->set_confidence(found.score.confidence);
  out->set_severity(static_cast<common::v1::Severity>(static_cast<int>(found.score.severity)));
  for (const auto& f : found.features) detector::ToProto(f, out->add_features());
  out->set_feature_count(static_cast<int32_t>(found.feature_count));
  out->mutable_raw_data()->insert(found.raw_data.begin(), found.raw_data.end());
  out->set_summary(found.summary);
  out->set_entity(found.entity);
  out->set_metric(found.metric);
  // Timestamps hold years 1 to 9999.
  if (found.time >= absl::FromUnixSeconds(-62135596800) && found.time <= absl::FromUnixSeconds(253402300799)) {
    *out->mutable_event_time() = google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(found.time));
  }
}

/// The task's result, split so that no message grows too large. At least one part: "nothing found" is a result too.
std::vector<pb::AnomaliesDetected> ToMessages(const pb::ScoreTask& task, const ScoreOutcome& outcome) {
  pb::AnomaliesDetected empty;
  empty.set_tenant(task.tenant());
  empty.set_job(task.job());
  empty.set_task(task.task());
  empty.set_dataset(task.dataset());
  empty.set_model(task.model());
  empty.set_algorithm(outcome.algorithm);
  empty.set_space(outcome.space);
  empty.set_first_row(task.first_row());
  empty.set_rows_scored(outcome.rows_scored);
  empty.set_threshold(outcome.threshold);
  *empty.mutable_detect_time() = google::protobuf::util::TimeUtil::GetCurrentTime();
  std::vector<pb::AnomaliesDetected> parts = {empty};
  size_t bytes = 0;
  for (const Found& found : outcome.anomalies) {
    pb::DetectedAnomaly anomaly;
    ToProto(found, task, &anomaly);
    const size_t size = anomaly.ByteSizeLong();
    if (parts.back().anomalies_size() == kPartAnomalies || (bytes > 0 && bytes + size > kPartBytes)) {
      parts.push_back(empty);
      bytes = 0;
    }
    bytes += size;
    *parts.back().add_anomalies() = std::move(anomaly);
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].set_part(static_cast<int32_t>(i));
    parts[i].set_part_count(static_cast<int32_t>(parts.size()));
  }
  return parts;
}

}  // namespace

absl::Status TaskWorker::Publish(const std::string& subject, const std::string& type, const std::string& id,
                                 const std::string& tenant, const std::string& traceparent, const std::string& data) {
  messaging::CloudEvent event{.id = id, .source = "vedette/detector", .type = type, .time = absl::Now(), .subject = {}, .tenant = tenant};
  event.traceparent = traceparent;
  event.data = data;
  return publisher_.Publish(subject, event, absl::Now() + absl::Seconds(10)).status();
}

absl::Status TaskWorker::Fit(const messaging::Message& message, std::stop_token stop) {
  ASSIGN_OR_RETURN(const pb::FitTask task, Parse<pb::FitTask>(message));
  ASSIGN_OR_RETURN(const DetectorSpec spec, FromProto(task.detector()));
  ASSIGN_OR_RETURN(const runtime::Outgoing out,
                   runtime::Outgoing::AsService(own_token_, task.tenant(), kTaskDeadline, stop, runtime::TraceContext::Parse(message.event.traceparent)));
  RemoteFeatures features(channels_, out);
  RemoteModels models(channels_, out);
  LlmReranker reranker(assistant_, task.tenant());
  const Context ctx{.seed = spec.seed, .pool = pool_, .stop = stop, .deadline = absl::Now() + kTaskDeadline};
  ASSIGN_OR_RETURN(const FitOutcome outcome, engine_.Fit(task.dataset(), spec, task.max_training_rows(),
                                                         {.tenant = task.tenant(), .features = &features, .models = &models,
                                                          .reranker = reranker.IfOn()}, ctx));
  pb::FitFinished finished;
  finished.set_tenant(task.tenant());
  finished.set_job(task.job());
  finished.set_task(task.task());
  finished.set_model(outcome.model);
  finished.set_feature_set(outcome.feature_set);
  finished.set_algorithm(outcome.algorithm);
  if (outcome.choice) {
    finished.set_selection_reason(outcome.choice->selection.reason);
    ToProto(*outcome.choice, finished.mutable_selection());
  }
  finished.set_cache_hit(outcome.cache_hit);
  finished.set_threshold(outcome.threshold);
  finished.set_training_rows(outcome.training_rows);
  return Publish("facts.fit.finished", "vedette.fit.finished.v1", message.event.id + "/fit", task.tenant(), message.event.traceparent,
                 finished.SerializeAsString());
}

absl::Status TaskWorker::Score(const messaging::Message& message, std::stop_token stop) {
  ASSIGN_OR_RETURN(const pb::ScoreTask task, Parse<pb::ScoreTask>(message));
  ASSIGN_OR_RETURN(const runtime::Outgoing out,
                   runtime::Outgoing::AsService(own_token_, task.tenant(), kTaskDeadline, stop, runtime::TraceContext::Parse(message.event.traceparent)));
  RemoteFeatures features(channels_, out);
  RemoteModels models(channels_, out);
  const Context ctx{.pool = pool_, .stop = stop, .deadline = absl::Now() + kTaskDeadline};
  const ScoreQuery query{.model = task.model(),
                         .feature_set = task.feature_set(),
                         .dataset = task.dataset(),
                         .first_row = task.first_row(),
                         .row_count = task.row_count(),
                         .top_features = task.top_features() > 0
                                             ? std::min(task.top_features(), options_.inline_features)
                                             : options_.inline_features};
  ASSIGN_OR_RETURN(const ScoreOutcome outcome,
                   engine_.Score(query, {.tenant = task.tenant(), .features = &features, .models = &models}, ctx));
  for (const pb::AnomaliesDetected& part : ToMessages(task, outcome)) {
    RETURN_IF_ERROR(Publish("facts.anomaly.detected", "vedette.anomaly.detected.v1", fmt::format("{}/{}", message.event.id, part.part()),
                            task.tenant(), message.event.traceparent, part.SerializeAsString()));
  }
  return absl::OkStatus();
}

template <typename Task>
messaging::Outcome TaskWorker::Conclude(const messaging::Message& message, const absl::Status& status) {
  if (status.ok()) return messaging::Outcome::Ack();
  if (!IsFinal(status) && message.deliveries < options_.max_deliver) {
    messaging::Outcome retry = messaging::Outcome::FromStatus(status, message.deliveries);
    return retry.kind == messaging::Outcome::Kind::kRetry
               ? retry
               : messaging::Outcome::Retry(absl::Seconds(1), std::string(Message(status)));
  }
  const auto task = Parse<Task>(message);
  if (!task.ok()) return messaging::Outcome::Poison(std::string(Message(task.status())));
  runtime::LogWarning("task failed", {{"task", task->task()}, {"deliveries", message.deliveries}, {"error", Message(status)}});
  pb::TaskFailed failed;
  failed.set_tenant(task->tenant());
  failed.set_job(task->job());
  failed.set_task(task->task());
  failed.set_code(absl::StatusCodeToString(status.code()));
  failed.set_message(std::string(Message(status).substr(0, 1000)));
  const absl::Status told = Publish("facts.task.failed", "vedette.task.failed.v1", message.event.id + "/failed", task->tenant(),
                                    message.event.traceparent, failed.SerializeAsString());
  return told.ok() ? messaging::Outcome::Ack() : messaging::Outcome::Retry(absl::Seconds(2), std::string(Message(told)));
}

messaging::Outcome TaskWorker::HandleFit(const messaging::Message& message, std::stop_token stop) {
  return Conclude<pb::FitTask>(message, Fit(message, std::move(stop)));
}

messaging::Outcome TaskWorker::HandleScore(const messaging::Message& message, std::stop_token stop) {
  return Conclude<pb::ScoreTask>(message, Score(message, std::move(stop)));
}

}  // namespace vedette::detector
