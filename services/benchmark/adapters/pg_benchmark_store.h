#pragma once

#include "services/benchmark/ports/benchmark_store.h"
#include "storage/pool.h"

namespace vedette::benchmark {

class PgBenchmarkStore final : public BenchmarkStore {
 public:
  explicit PgBenchmarkStore(storage::Pool* pool) : pool_(pool) {}
  absl::StatusOr<PeerGroup> CreateGroup(const std::string& tenant, const PeerGroup& group) override;
  absl::StatusOr<PeerGroup> GetGroup(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<std::vector<PeerGroup>> ListGroups(const std::string& tenant, const Listing& listing) override;
  absl::Status Write(const std::string& tenant, const std::string& group_id, const std::vector<Benchmark>& all) override;
  absl::StatusOr<std::vector<Benchmark>> List(const std::string& tenant, const std::string& group_id,
                                              const Listing& listing) override;

 private:
  storage::Pool* pool_;
};

}  // namespace vedette::benchmark
