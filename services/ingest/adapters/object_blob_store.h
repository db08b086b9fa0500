#pragma once

#include "services/ingest/ports/blob_store.h"
#include "storage/object_store.h"

namespace vedette::ingest {

/// Thread-safe.
class ObjectBlobStore final : public BlobStore {
 public:
  explicit ObjectBlobStore(storage::ObjectStore* objects) : objects_(objects) {}
  absl::Status Put(const std::string& key, std::string_view bytes) override { return objects_->Put(key, bytes); }
  absl::StatusOr<std::string> Get(const std::string& key, int64_t max_bytes) override {
    return objects_->Get(key, max_bytes);
  }
  absl::Status RemoveAll(const std::string& prefix) override;

 private:
  storage::ObjectStore* objects_;
};

}  // namespace vedette::ingest
