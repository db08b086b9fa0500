#include "services/explainer/wiring.h"

#include "base/status.h"
#include "messaging/streams.h"
#include "neural/algorithms.h"
#include "platform/platform.h"
#include "services/explainer/adapters/fact_handlers.h"
#include "services/explainer/adapters/grpc_service.h"
#include "services/explainer/adapters/pg_explanation_store.h"
#include "services/explainer/adapters/sources.h"

namespace vedette::explainer {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

v1::Config DefaultConfig() {
  v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7105, 7205);
  config.set_cached_models(16);
  return config;
}

absl::Status Validate(const v1::Config& config) {
  if (config.cached_models() < 1 || config.cached_models() > 1000) {
    return InvalidArgument("cached_models: {} is not within 1-1000", config.cached_models());
  }
  return absl::OkStatus();
}

absl::Status Build(const v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(storage::Pool* const pool,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  ASSIGN_OR_RETURN(messaging::Connection* const nats, platform::ConnectNats(app));
  auto* catalog = app.Own(std::make_unique<outlier::Catalog>(
      std::vector<std::span<const outlier::Descriptor* const>>{outlier::AllAlgorithms(), neural::Algorithms()}));
  auto* models = app.Own(std::make_unique<ModelCache>(config.cached_models()));
  auto* store = app.Own(std::make_unique<PgExplanationStore>(pool));
  auto* explainer = app.Own(std::make_unique<Explainer>(store));
  app.server().AddService<v1::ExplainerService>(std::make_unique<ExplainerGrpc>(
      app.server(), *explainer, [&app, catalog, models](const runtime::CallContext& call) {
        return RemoteSources(app.channels(), *catalog, *models, call.tenant, runtime::Outgoing::OnBehalfOf(call));
      }));
  platform::AddConsumer(app, *nats,
                        {.stream = messaging::kFactsStream, .durable = "detected", .filter = "facts.anomaly.detected", .concurrency = 2},
                        DetectedHandler(*explainer));
  return absl::OkStatus();
}

}  // namespace vedette::explainer
