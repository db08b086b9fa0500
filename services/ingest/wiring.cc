#include "services/ingest/wiring.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"
#include "platform/platform.h"
#include "runtime/status.h"
#include "services/ingest/adapters/grpc_service.h"
#include "services/ingest/adapters/object_blob_store.h"
#include "services/ingest/adapters/pg_catalogue_store.h"
#include "services/ingest/adapters/pg_dataset_store.h"
#include "services/ingest/adapters/pg_observation_store.h"
#include "services/ingest/adapters/pg_upload_store.h"
#include "services/ingest/core/sweeper.h"

namespace vedette::ingest {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

namespace {

void KeepPartitionsAhead(runtime::App& app, PgObservationStore* observations, int months_ahead) {
  const auto ensure = [observations, months_ahead](std::stop_token) {
    const absl::CivilMonth now = absl::ToCivilMonth(absl::Now(), absl::UTCTimeZone());
    std::vector<absl::CivilMonth> months;
    for (int i = 0; i <= months_ahead; ++i) months.push_back(now + i);
    return observations->EnsurePartitions(months);
  };
  app.AddWorker("partitions", ensure, {.interval = absl::Hours(6)});
}

}  // namespace

v1::Config DefaultConfig() {
  v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7101, 7201);
  config.mutable_upload()->set_max_bytes(uint64_t{4} << 30);
  config.mutable_upload()->set_max_inflation(8);
  config.mutable_upload()->set_abandon_after_seconds(120);
  config.mutable_upload()->set_sweep_every_seconds(15);
  config.mutable_observations()->set_months_ahead(2);
  config.mutable_observations()->set_first_year(1970);
  return config;
}

absl::Status Validate(const v1::Config& config) {
  std::vector<runtime::FieldViolation> wrong;
  const auto within = [&wrong](const char* field, uint64_t value, uint64_t low, uint64_t high) {
    if (value < low || value > high)
      wrong.push_back({field, fmt::format("{} is not within {} and {}", value, low, high)});
  };
  if (config.object_store().directory().empty()) wrong.push_back({"object_store.directory", "is required"});
  within("upload.max_bytes", config.upload().max_bytes(), 1, uint64_t{1} << 40);
  within("upload.max_inflation", config.upload().max_inflation(), 1, 100);
  within("upload.abandon_after_seconds", config.upload().abandon_after_seconds(), 10, 86400);
  within("upload.sweep_every_seconds", config.upload().sweep_every_seconds(), 1, 3600);
  within("observations.months_ahead", config.observations().months_ahead(), 1, 24);
  within("observations.first_year", config.observations().first_year(), 1900, 2100);
  return runtime::InvalidFields(wrong);
}

absl::Status Build(const v1::Config& config, runtime::App& app) {
  RETURN_IF_ERROR(Validate(config));
  ASSIGN_OR_RETURN(storage::Pool* const pool,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  ASSIGN_OR_RETURN(messaging::Connection* const nats, platform::ConnectNats(app));
  ASSIGN_OR_RETURN(storage::OutboxRelay* const relay, platform::RelayOutbox(app, *pool, *nats));
  ASSIGN_OR_RETURN(auto directory, storage::DirectoryObjectStore::Create(config.object_store().directory()));
  auto* const objects = app.Own(std::move(directory));

  auto* const blobs = app.Own(std::make_unique<ObjectBlobStore>(objects));
  auto* const uploads = app.Own(std::make_unique<PgUploadStore>(pool, [relay] { relay->Wake(); }));
  auto* const datasets = app.Own(std::make_unique<PgDatasetStore>(pool));
  auto* const garbage = app.Own(std::make_unique<PgGarbageStore>(pool));
  auto* const catalogue = app.Own(std::make_unique<PgCatalogueStore>(pool));
  auto* const observations = app.Own(std::make_unique<PgObservationStore>(pool));

  const auto* const uploader =
      app.Own(std::make_unique<Uploader>(uploads, blobs,
                                         UploadOptions{.max_bytes = static_cast<int64_t>(config.upload().max_bytes()),
                                                       .max_inflation = config.upload().max_inflation()}));
  const auto* const reader = app.Own(std::make_unique<DatasetReader>(datasets, blobs));
  const auto* const sweeper = app.Own(std::make_unique<Sweeper>(
      garbage, blobs, SweepOptions{.abandon_after = absl::Seconds(config.upload().abandon_after_seconds())}));

  app.server().AddService<v1::IngestService>(std::make_unique<GrpcService>(
      app.server(), Parts{.uploader = uploader,
                          .reader = reader,
                          .datasets = datasets,
                          .catalogue = catalogue,
                          .observations = observations,
                          .first_year = static_cast<int>(config.observations().first_year())}));
  app.AddWorker("sweeper", [sweeper](std::stop_token stop) { return sweeper->Sweep({.stop = std::move(stop)}); },
                {.interval = absl::Seconds(config.upload().sweep_every_seconds())});
  KeepPartitionsAhead(app, observations, static_cast<int>(config.observations().months_ahead()));
  return absl::OkStatus();
}

}  // namespace vedette::ingest
