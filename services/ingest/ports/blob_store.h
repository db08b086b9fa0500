// Where chunks are kept.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace vedette::ingest {

/// Thread-safe; an object appears whole or not at all.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  virtual absl::Status Put(const std::string& key, std::string_view bytes) = 0;
  /// NOT_FOUND; RESOURCE_EXHAUSTED when it is larger than `max_bytes`.
  virtual absl::StatusOr<std::string> Get(const std::string& key, int64_t max_bytes) = 0;
  /// Everything below the prefix; OK when there is nothing.
  virtual absl::Status RemoveAll(const std::string& prefix) = 0;
};

}  // namespace vedette::ingest
