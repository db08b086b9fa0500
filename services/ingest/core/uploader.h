// Takes a file in: parses it as it arrives and stores it in chunks, with bounded memory.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/context.h"
#include "services/ingest/core/dataset.h"
#include "services/ingest/ports/blob_store.h"
#include "services/ingest/ports/upload_store.h"

namespace vedette::ingest {

struct UploadOptions {
  int64_t max_bytes = int64_t{4} << 30;  ///< as received
  int64_t max_inflation = 8;             ///< inflated bytes, as a multiple of max_bytes
  int64_t chunk_rows = 8192;
  int64_t chunk_cells = 1 << 20;  ///< wide tables get fewer rows a chunk
  absl::Duration touch_every = absl::Seconds(5);
};

/// The next bytes of the upload, nullopt at its end. The view lives until the next call.
using ByteSource = std::function<absl::StatusOr<std::optional<std::string_view>>()>;

/// Stateless between calls; thread-safe.
class Uploader {
 public:
  Uploader(UploadStore* store, BlobStore* blobs, UploadOptions options, const Clock& clock = Clock::System())
      : store_(store), blobs_(blobs), options_(options), clock_(clock) {}

  /// Gives the READY dataset; that of the first upload when the request id was seen before.
  /// A file that cannot be read, or is too large, is remembered as FAILED, and its error returned: INVALID_ARGUMENT or
  /// RESOURCE_EXHAUSTED. Any other error (the caller went away, a store failed) leaves nothing behind, so that the same
  /// request may be sent again. ABORTED: a repetition of this request took the upload over.
  absl::StatusOr<Dataset> Upload(const std::string& tenant, const UploadRequest& request, const ByteSource& source,
                                 const Context& context) const;

 private:
  UploadStore* store_;
  BlobStore* blobs_;
  UploadOptions options_;
  const Clock& clock_;
};

}  // namespace vedette::ingest
