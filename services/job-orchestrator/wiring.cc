#include "services/job-orchestrator/wiring.h"

#include "base/status.h"
#include "messaging/streams.h"
#include "platform/platform.h"
#include "services/job-orchestrator/adapters/fact_handlers.h"
#include "services/job-orchestrator/adapters/grpc_service.h"
#include "services/job-orchestrator/adapters/pg_job_store.h"

namespace vedette::job_orchestrator {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

EngineOptions Options(const jobs::v1::JobsConfig& c) {
  EngineOptions o;
  o.chunk_rows = c.chunk_rows();
  o.max_attempts = static_cast<int>(c.max_attempts());
  o.task_timeout = absl::Seconds(c.task_timeout_seconds());
  o.keep = absl::Hours(24 * c.keep_days());
  return o;
}

/// Datasets as this service sees them on behalf of a tenant, for schedules: nobody is calling.
std::function<DatasetRows(const std::string&)> OwnCatalog(runtime::App& app) {
  return [&app](const std::string& tenant) -> DatasetRows {
    auto out = runtime::Outgoing::AsService(app.service_token(), tenant, absl::Seconds(30));
    if (!out.ok()) return [status = out.status()](const std::string&) -> absl::StatusOr<int64_t> { return status; };
    return IngestCatalog(app.channels(), *std::move(out));
  };
}

}  // namespace

jobs::v1::Config DefaultConfig() {
  jobs::v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7108, 7208);
  config.mutable_jobs()->set_chunk_rows(1000);
  config.mutable_jobs()->set_max_attempts(4);
  config.mutable_jobs()->set_task_timeout_seconds(300);
  config.mutable_jobs()->set_keep_days(90);
  return config;
}

absl::Status Validate(const jobs::v1::Config& config) {
  const auto& j = config.jobs();
  if (j.chunk_rows() < 1 || j.chunk_rows() > 100000) return InvalidArgument("jobs.chunk_rows: {} is not within 1-100000", j.chunk_rows());
  if (j.max_attempts() < 1 || j.max_attempts() > 20) return InvalidArgument("jobs.max_attempts: {} is not within 1-20", j.max_attempts());
  if (j.task_timeout_seconds() < 5 || j.task_timeout_seconds() > 86400) {
    return InvalidArgument("jobs.task_timeout_seconds: {} is not within 5-86400", j.task_timeout_seconds());
  }
  if (j.keep_days() < 1 || j.keep_days() > 3650) return InvalidArgument("jobs.keep_days: {} is not within 1-3650", j.keep_days());
  return absl::OkStatus();
}

absl::Status Build(const jobs::v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(storage::Pool* const pool,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  ASSIGN_OR_RETURN(messaging::Connection* const nats, platform::ConnectNats(app));
  ASSIGN_OR_RETURN(storage::OutboxRelay* const relay, platform::RelayOutbox(app, *pool, *nats));

  auto* watchers = app.Own(std::make_unique<Watchers>());
  auto* jobs = app.Own(std::make_unique<PgJobStore>(pool, [relay, watchers] {
    relay->Wake();
    watchers->Notify();
  }));
  auto* schedules = app.Own(std::make_unique<PgScheduleStore>(pool));
  auto* engine = app.Own(std::make_unique<Engine>(jobs, schedules, Options(config.jobs()), Clock::System()));
  app.server().AddService<jobs::v1::JobService>(
      std::make_unique<JobGrpc>(app.server(), *engine, *jobs, *schedules, *watchers, app.channels()));

  const auto consume = [&](std::string name, std::string filter, messaging::Handler handler) {
    platform::AddConsumer(app, *nats, {.stream = messaging::kFactsStream, .durable = std::move(name), .filter = std::move(filter), .concurrency = 2},
                            std::move(handler));
  };
  consume("fit-finished", "facts.fit.finished", FitFinishedHandler(*jobs));
  consume("model-selected", "facts.model.selected", ModelSelectedHandler(*jobs));
  consume("anomaly-stored", "facts.anomaly.stored", StoredHandler(*jobs));
  consume("task-failed", "facts.task.failed", TaskFailedHandler(*jobs));

  app.AddWorker("sweeper", [engine](std::stop_token) { return engine->Sweep(); }, {.interval = absl::Seconds(5)});
  app.AddWorker("schedules", [engine, own = OwnCatalog(app)](std::stop_token) { return engine->RunSchedules(own); },
                {.interval = absl::Seconds(5)});
  return absl::OkStatus();
}

}  // namespace vedette::job_orchestrator
