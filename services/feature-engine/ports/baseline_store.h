#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "services/feature-engine/core/baseline.h"
#include "services/feature-engine/ports/feature_set_store.h"

namespace vedette::feature_engine {

/// Thread-safe. NOT_FOUND also for another tenant's.
class BaselineStore {
 public:
  virtual ~BaselineStore() = default;
  /// A repeated request id gives the first one's baseline.
  virtual absl::StatusOr<Baseline> Create(const std::string& tenant, const Baseline& baseline,
                                          const std::string& request_id) = 0;
  virtual absl::StatusOr<Baseline> Get(const std::string& tenant, const std::string& id) = 0;
  /// Newest first.
  virtual absl::StatusOr<Page<Baseline>> List(const std::string& tenant, const ListQuery& query) = 0;
  virtual absl::Status Delete(const std::string& tenant, const std::string& id) = 0;
};

}  // namespace vedette::feature_engine
