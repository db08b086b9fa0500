#include "services/benchmark/wiring.h"

#include "base/status.h"
#include "platform/platform.h"
#include "services/benchmark/adapters/grpc_service.h"
#include "services/benchmark/adapters/pg_benchmark_store.h"

namespace vedette::benchmark {

extern const storage::MigrationFile kMigrationFiles[];
extern const int kMigrationFileCount;

v1::Config DefaultConfig() {
  v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7107, 7207);
  config.set_min_members(kMinMembers);
  return config;
}

absl::Status Validate(const v1::Config& config) {
  if (config.min_members() < kMinMembers || config.min_members() > 1000) {
    return InvalidArgument("min_members: {} is not within {}-1000", config.min_members(), kMinMembers);
  }
  return absl::OkStatus();
}

absl::Status Build(const v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(storage::Pool* const pool,
                   platform::OpenDatabase(app, {kMigrationFiles, static_cast<size_t>(kMigrationFileCount)}));
  auto* store = app.Own(std::make_unique<PgBenchmarkStore>(pool));
  app.server().AddService<v1::BenchmarkService>(
      std::make_unique<BenchmarkGrpc>(app.server(), *store, static_cast<int>(config.min_members())));
  return absl::OkStatus();
}

}  // namespace vedette::benchmark
