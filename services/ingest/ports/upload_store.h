// What an upload needs of the database.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "services/ingest/core/dataset.h"

namespace vedette::ingest {

/// Thread-safe. Every change by an attempt that was taken over in the meantime is refused with ABORTED.
class UploadStore {
 public:
  virtual ~UploadStore() = default;

  struct Started {
    UploadAttempt attempt;
    /// Set when the request was answered before: READY or FAILED, nothing is to be done.
    std::optional<Dataset> finished;
  };
  /// Makes a dataset in state UPLOADING, or takes over the unfinished one with the same request id.
  virtual absl::StatusOr<Started> Begin(const std::string& tenant, const UploadRequest& request) = 0;
  /// A sign of life.
  virtual absl::Status Touch(const std::string& tenant, const UploadAttempt& attempt, int64_t bytes) = 0;
  /// READY, with all its chunks, and the fact dataset.ready, all or nothing. Gives what is now stored.
  virtual absl::StatusOr<Dataset> Commit(const std::string& tenant, const UploadAttempt& attempt, Dataset dataset,
                                         const std::vector<Chunk>& chunks) = 0;
  /// FAILED with dataset.error; the attempt's objects are to be removed.
  virtual absl::Status Fail(const std::string& tenant, const UploadAttempt& attempt, const Dataset& dataset) = 0;
  /// Forgets the dataset, so that the same request may come again; the attempt's objects are to be removed.
  virtual absl::Status Discard(const std::string& tenant, const UploadAttempt& attempt) = 0;
};

}  // namespace vedette::ingest
