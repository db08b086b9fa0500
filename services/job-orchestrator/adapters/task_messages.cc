#include "services/job-orchestrator/adapters/task_messages.h"

#include "base/status.h"
#include "storage/outbox.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::job_orchestrator {
namespace {

absl::Status Add(storage::Tx& tx, const std::string& id, const std::string& subject, const std::string& type,
                 const google::protobuf::Message& message) {
  storage::OutboxMessage out;
  out.id = id;
  out.subject = subject;
  out.type = type;
  out.payload = message.SerializeAsString();
  return storage::Outbox::Add(tx, std::move(out)).status();
}

}  // namespace

absl::Status AddFitMessage(storage::Tx& tx, const Job& job, int attempt) {
  events::v1::FitTask m;
  m.set_tenant(tx.tenant());
  m.set_job("jobs/" + job.id);
  m.set_task(fmt::format("jobs/{}/tasks/0", job.id));
  m.set_dataset(job.dataset);
  if (!m.mutable_detector()->ParseFromString(job.detector)) {
    return DataLoss("job {}: the stored detector specification cannot be read", job.id);
  }
  return Add(tx, fmt::format("{}/0/{}", job.id, attempt), "work.fit." + job.id, "vedette.work.fit.v1", m);
}

absl::Status AddScoreMessage(storage::Tx& tx, const Job& job, const Task& task, const ScoreInput& input, int attempt) {
  events::v1::ScoreTask m;
  m.set_tenant(tx.tenant());
  m.set_job("jobs/" + job.id);
  m.set_task(fmt::format("jobs/{}/tasks/{}", job.id, task.id));
  m.set_dataset(job.dataset);
  m.set_first_row(task.first_row);
  m.set_row_count(task.row_count);
  m.set_model(input.model);
  m.set_feature_set(input.feature_set);
  return Add(tx, fmt::format("{}/{}/{}", job.id, task.id, attempt), "work.score." + job.id, "vedette.work.score.v1", m);
}

absl::Status AddJobFinished(storage::Tx& tx, const Job& job) {
  events::v1::JobFinished m;
  m.set_tenant(tx.tenant());
  m.set_job("jobs/" + job.id);
  m.set_state(std::string(Name(job.state)));
  m.set_rows_scored(job.rows_scored);
  m.set_anomaly_count(job.anomaly_count);
  return Add(tx, fmt::format("{}/{}/{}", job.id, Name(job.state), job.revision), "facts.job.finished",
             "vedette.job.finished.v1", m);
}

}  // namespace vedette::job_orchestrator
