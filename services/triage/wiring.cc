#include "services/triage/wiring.h"

#include "base/status.h"
#include "messaging/streams.h"
#include "platform/llm.h"
#include "platform/platform.h"
#include "services/triage/adapters/fact_handlers.h"
#include "services/triage/adapters/grpc_service.h"
#include "services/triage/adapters/pg_anomaly_store.h"

namespace vedette::triage {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

v1::Config DefaultConfig() {
  v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7106, 7206);
  *config.mutable_llm() = platform::DefaultLlmConfig();
  return config;
}

absl::Status Validate(const v1::Config& config) { return platform::ValidateLlm(config.llm()); }

absl::Status Build(const v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(storage::Pool* const pool,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  ASSIGN_OR_RETURN(messaging::Connection* const nats, platform::ConnectNats(app));
  ASSIGN_OR_RETURN(storage::OutboxRelay* const relay, platform::RelayOutbox(app, *pool, *nats));
  auto* store = app.Own(std::make_unique<PgAnomalyStore>(pool, [relay] { relay->Wake(); }));
  ASSIGN_OR_RETURN(llm::Assistant* const assistant, platform::OpenLlm(app, nats, config.llm()));
  auto* triager = app.Own(std::make_unique<Triager>(store, assistant));
  app.server().AddService<v1::TriageService>(std::make_unique<TriageGrpc>(app.server(), *store, *triager));
  platform::AddConsumer(app, *nats,
                        {.stream = messaging::kFactsStream, .durable = "detected", .filter = "facts.anomaly.detected", .concurrency = 4},
                        DetectedHandler(*store));
  return absl::OkStatus();
}

}  // namespace vedette::triage
