#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "services/model-cache/ports/model_store.h"
#include "storage/object_store.h"

namespace vedette::model_cache {

/// Model bytes in an object store, the last used also in memory (up to `memory_bytes`). Thread-safe.
class ObjectModelBytes final : public ModelBytes {
 public:
  ObjectModelBytes(storage::ObjectStore* store, int64_t memory_bytes, int64_t max_model_bytes)
      : store_(store), memory_bytes_(memory_bytes), max_model_bytes_(max_model_bytes) {}

  absl::StatusOr<std::unique_ptr<Writer>> Open(const std::string& tenant, const std::string& id) override;
  absl::StatusOr<std::shared_ptr<const std::string>> Get(const std::string& tenant, const std::string& id) override;
  absl::Status Delete(const std::string& tenant, const std::string& id) override;

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const std::string>>;
  storage::ObjectStore* store_;
  const int64_t memory_bytes_;
  const int64_t max_model_bytes_;
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
  int64_t held_ = 0;
};

}  // namespace vedette::model_cache
