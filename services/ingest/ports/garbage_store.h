// What was left behind, over all tenants, for the sweeper.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

namespace vedette::ingest {

struct Garbage {
  std::string tenant;
  std::string prefix;
};

/// Thread-safe; several sweepers may run at once.
class GarbageStore {
 public:
  virtual ~GarbageStore() = default;
  /// Forgets uploads without a sign of life since `before` and marks their objects as garbage; how many.
  virtual absl::StatusOr<int64_t> AbandonUploads(absl::Time before) = 0;
  /// Prefixes whose objects are to be removed, oldest first. The newest are held back for a while, because a handler
  /// that lost its attempt may still be writing one object.
  virtual absl::StatusOr<std::vector<Garbage>> List(absl::Time before, int limit) = 0;
  /// The objects are gone.
  virtual absl::Status Forget(const Garbage& garbage) = 0;
};

}  // namespace vedette::ingest
