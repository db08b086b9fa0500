#include "services/feature-engine/wiring.h"

#include <memory>
#include <vector>

#include "base/status.h"
#include "platform/platform.h"
#include "runtime/status.h"
#include "services/feature-engine/adapters/grpc_service.h"
#include "services/feature-engine/adapters/ingest_source.h"
#include "services/feature-engine/adapters/pg_stores.h"

namespace vedette::feature_engine {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

features::v1::Config DefaultConfig() {
  features::v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7102, 7202);
  config.mutable_fit()->set_max_cells(20'000'000);
  config.mutable_fit()->set_read_timeout_seconds(300);
  return config;
}

absl::Status Validate(const features::v1::Config& config) {
  std::vector<runtime::FieldViolation> wrong;
  const auto within = [&wrong](const char* field, uint64_t value, uint64_t low, uint64_t high) {
    if (value < low || value > high)
      wrong.push_back({field, fmt::format("{} is not within {} and {}", value, low, high)});
  };
  within("fit.max_cells", config.fit().max_cells(), 10'000, 1'000'000'000);
  within("fit.read_timeout_seconds", config.fit().read_timeout_seconds(), 1, 3600);
  if (!config.server().endpoints().contains("ingest")) wrong.push_back({"server.endpoints", "must name \"ingest\""});
  return runtime::InvalidFields(wrong);
}

absl::Status Build(const features::v1::Config& config, runtime::App& app) {
  RETURN_IF_ERROR(Validate(config));
  ASSIGN_OR_RETURN(storage::Pool* const pool,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, app.channels().Get("ingest"));
  auto* const ingest = app.Own(ingest::v1::IngestService::NewStub(channel));

  auto* const feature_sets = app.Own(std::make_unique<PgFeatureSetStore>(pool));
  auto* const baselines = app.Own(std::make_unique<PgBaselineStore>(pool));
  const auto* const engine = app.Own(std::make_unique<Engine>(
      feature_sets, baselines, EngineOptions{.max_fit_cells = static_cast<int64_t>(config.fit().max_cells())}));

  const auto source = [ingest,
                       limit = absl::Seconds(config.fit().read_timeout_seconds())](const runtime::CallContext& call) {
    return std::make_unique<IngestSource>(ingest, runtime::Outgoing::OnBehalfOf(call, limit));
  };
  app.server().AddService<features::v1::FeatureEngineService>(
      std::make_unique<GrpcService>(app.server(), engine, feature_sets, baselines, source));
  return absl::OkStatus();
}

}  // namespace vedette::feature_engine
