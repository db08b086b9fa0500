// Removes what crashed uploads, failed uploads and deleted datasets left in the object store.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "base/clock.h"
#include "base/context.h"
#include "services/ingest/ports/blob_store.h"
#include "services/ingest/ports/garbage_store.h"

namespace vedette::ingest {

struct SweepOptions {
  absl::Duration abandon_after = absl::Seconds(120);
  /// Garbage is left alone this long: a handler that lost its attempt may still be writing one object.
  absl::Duration hold_back = absl::Seconds(30);
};

class Sweeper {
 public:
  Sweeper(GarbageStore* garbage, BlobStore* blobs, SweepOptions options, const Clock& clock = Clock::System())
      : garbage_(garbage), blobs_(blobs), options_(options), clock_(clock) {}
  /// One round. An error leaves the rest for the next.
  absl::Status Sweep(const Context& context) const;

 private:
  GarbageStore* garbage_;
  BlobStore* blobs_;
  SweepOptions options_;
  const Clock& clock_;
};

}  // namespace vedette::ingest
