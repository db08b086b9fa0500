#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/feature-engine/core/feature_set.h"

namespace vedette::feature_engine {

/// A List request: filter in the language of AIP-160; the token as the last page gave it.
struct ListQuery {
  int page_size = 50;
  std::string page_token;
  std::string filter;
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_page_token;
};

/// Thread-safe.
class FeatureSetStore {
 public:
  virtual ~FeatureSetStore() = default;
  /// With the preparation. NOT_FOUND also for another tenant's.
  virtual absl::StatusOr<FeatureSet> Get(const std::string& tenant, const std::string& id) = 0;
  /// Gives the one that is stored under this id, which may have been there before.
  virtual absl::StatusOr<FeatureSet> Put(const std::string& tenant, const FeatureSet& feature_set) = 0;
  /// Newest first, without the preparations.
  virtual absl::StatusOr<Page<FeatureSet>> List(const std::string& tenant, const ListQuery& query) = 0;
};

}  // namespace vedette::feature_engine
