#include <catch2/catch.hpp>

#include "support/support.h"

#define DECLARE_MIGRATIONS(service)                               \
  namespace vedette::service {                                    \
  extern const vedette::storage::MigrationFile kMigrationFiles[]; \
  extern const int kMigrationFileCount;                           \
  }
DECLARE_MIGRATIONS(job_orchestrator)
DECLARE_MIGRATIONS(triage)
DECLARE_MIGRATIONS(model_cache)
DECLARE_MIGRATIONS(benchmark)
DECLARE_MIGRATIONS(explainer)

namespace vedette {

TEST_CASE("the migrations of every service go up, down and up, and keep tenants apart") {
  const auto defects = [](const char* service, const storage::MigrationFile* files, int count) {
    return testing::MigrationDefects(service, {files, static_cast<size_t>(count)});
  };
  const std::vector<std::string> none;
  CHECK(defects("job-orchestrator", job_orchestrator::kMigrationFiles, job_orchestrator::kMigrationFileCount) == none);
  CHECK(defects("triage", triage::kMigrationFiles, triage::kMigrationFileCount) == none);
  CHECK(defects("model-cache", model_cache::kMigrationFiles, model_cache::kMigrationFileCount) == none);
  CHECK(defects("benchmark", benchmark::kMigrationFiles, benchmark::kMigrationFileCount) == none);
  CHECK(defects("explainer", explainer::kMigrationFiles, explainer::kMigrationFileCount) == none);
}

}  // namespace vedette
