#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/benchmark/core/benchmark.h"

namespace vedette::benchmark {

/// A List request: `where` is rendered by runtime/filter; the cursor holds the sort keys of the last row given.
struct Listing {
  std::string where = "TRUE";
  std::vector<std::string> params = {};
  std::vector<std::string> cursor = {};
  int limit = 50;
};

class BenchmarkStore {
 public:
  virtual ~BenchmarkStore() = default;
  /// ALREADY_EXISTS.
  virtual absl::StatusOr<PeerGroup> CreateGroup(const std::string& tenant, const PeerGroup& group) = 0;
  virtual absl::StatusOr<PeerGroup> GetGroup(const std::string& tenant, const std::string& id) = 0;
  /// By id; cursor: id.
  virtual absl::StatusOr<std::vector<PeerGroup>> ListGroups(const std::string& tenant, const Listing& listing) = 0;
  /// Replaces what was there of the same group, metric and period.
  virtual absl::Status Write(const std::string& tenant, const std::string& group_id, const std::vector<Benchmark>& all) = 0;
  /// Newest period first; cursor: period_start, metric, entity.
  virtual absl::StatusOr<std::vector<Benchmark>> List(const std::string& tenant, const std::string& group_id,
                                                      const Listing& listing) = 0;
};

}  // namespace vedette::benchmark
