#include "services/ingest/core/sweeper.h"

#include <vector>

#include "base/status.h"

namespace vedette::ingest {

absl::Status Sweeper::Sweep(const Context& context) const {
  constexpr int kBatch = 100;
  RETURN_IF_ERROR(garbage_->AbandonUploads(clock_.Now() - options_.abandon_after).status());
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<Garbage> found, garbage_->List(clock_.Now() - options_.hold_back, kBatch));
    for (const Garbage& garbage : found) {
      RETURN_IF_ERROR(context.Check());
      RETURN_IF_ERROR(blobs_->RemoveAll(garbage.prefix));
      RETURN_IF_ERROR(garbage_->Forget(garbage));
    }
    if (static_cast<int>(found.size()) < kBatch) return absl::OkStatus();
  }
}

}  // namespace vedette::ingest
