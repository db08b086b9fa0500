// Get or train, once: the rules above the stores.
#pragma once

#include <absl/status/statusor.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "services/model-cache/core/model.h"
#include "services/model-cache/ports/model_store.h"

namespace vedette::model_cache {

struct CacheOptions {
  absl::Duration ttl = absl::Hours(24 * 30);
  absl::Duration lease = absl::Seconds(30);
  int64_t max_model_bytes = int64_t{4} << 30;
};

struct Upload {
  std::string lease_id;
  std::string sha256;  ///< promised
  int64_t size_bytes = 0;
  int64_t training_rows = 0;
  double training_seconds = 0;
  absl::Duration ttl;  ///< zero: the default
};

class Cache {
 public:
  Cache(ModelStore* store, ModelBytes* bytes, CacheOptions options, const Clock& clock)
      : store_(store), bytes_(bytes), options_(options), clock_(clock) {}

  /// Waits while somebody else trains, until `deadline` or `stop`; then answers "neither".
  absl::StatusOr<Acquired> Acquire(const std::string& tenant, const ModelKey& key, absl::Time deadline, std::stop_token stop);
  absl::StatusOr<Lease> Renew(const std::string& tenant, const std::string& lease_id);
  absl::Status Release(const std::string& tenant, const std::string& lease_id);
  /// `next` gives the parts, then nothing. DATA_LOSS when they are not what was promised, ABORTED when the lease was
  /// lost; either way nothing is left behind.
  absl::StatusOr<Model> Store(const std::string& tenant, const Upload& upload,
                              const std::function<std::optional<std::string_view>()>& next);
  absl::StatusOr<std::shared_ptr<const std::string>> Bytes(const std::string& tenant, const std::string& id) {
    return bytes_->Get(tenant, id);
  }

 private:
  /// Wakes those who wait in this process.
  void Changed();

  ModelStore* store_;
  ModelBytes* bytes_;
  CacheOptions options_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  uint64_t changes_ = 0;
};

}  // namespace vedette::model_cache
