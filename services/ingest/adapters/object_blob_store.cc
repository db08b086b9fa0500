#include "services/ingest/adapters/object_blob_store.h"

#include <vector>

#include "base/status.h"

namespace vedette::ingest {

absl::Status ObjectBlobStore::RemoveAll(const std::string& prefix) {
  constexpr int kBatch = 1000;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<storage::ObjectInfo> found, objects_->List(prefix, kBatch));
    if (found.empty()) return absl::OkStatus();
    for (const storage::ObjectInfo& object : found) RETURN_IF_ERROR(objects_->Delete(object.key));
  }
}

}  // namespace vedette::ingest
