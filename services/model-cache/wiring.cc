#include "services/model-cache/wiring.h"

#include "base/status.h"
#include "platform/platform.h"
#include "services/model-cache/adapters/grpc_service.h"
#include "services/model-cache/adapters/object_model_bytes.h"
#include "services/model-cache/adapters/pg_model_store.h"
#include "storage/object_store.h"

namespace vedette::model_cache {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

modelcache::v1::Config DefaultConfig() {
  modelcache::v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7104, 7204);
  config.set_ttl_days(30);
  config.set_lease_seconds(30);
  config.set_max_model_bytes(uint64_t{4} << 30);
  config.set_memory_bytes(uint64_t{256} << 20);
  return config;
}

absl::Status Validate(const modelcache::v1::Config& c) {
  if (c.object_directory().empty()) return InvalidArgument("object_directory: must be set");
  if (c.ttl_days() < 1 || c.ttl_days() > 3650) return InvalidArgument("ttl_days: {} is not within 1-3650", c.ttl_days());
  if (c.lease_seconds() < 5 || c.lease_seconds() > 3600) return InvalidArgument("lease_seconds: {} is not within 5-3600", c.lease_seconds());
  if (c.max_model_bytes() < 1 << 20 || c.max_model_bytes() > uint64_t{64} << 30) {
    return InvalidArgument("max_model_bytes: {} is not within 1 MiB-64 GiB", c.max_model_bytes());
  }
  return absl::OkStatus();
}

absl::Status Build(const modelcache::v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(storage::Pool* const pool,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  ASSIGN_OR_RETURN(auto directory, storage::DirectoryObjectStore::Create(config.object_directory()));
  auto* objects = app.Own(std::move(directory));
  const CacheOptions options{.ttl = absl::Hours(24 * config.ttl_days()),
                             .lease = absl::Seconds(config.lease_seconds()),
                             .max_model_bytes = static_cast<int64_t>(config.max_model_bytes())};
  auto* bytes = app.Own(std::make_unique<ObjectModelBytes>(objects, static_cast<int64_t>(config.memory_bytes()), options.max_model_bytes));
  auto* store = app.Own(std::make_unique<PgModelStore>(pool));
  auto* cache = app.Own(std::make_unique<Cache>(store, bytes, options, Clock::System()));
  app.server().AddService<modelcache::v1::ModelCacheService>(
      std::make_unique<ModelCacheGrpc>(app.server(), *cache, *store, app.metrics()));
  app.AddWorker("expire", [store](std::stop_token) { return store->Expire(); }, {.interval = absl::Minutes(1)});
  return absl::OkStatus();
}

}  // namespace vedette::model_cache
