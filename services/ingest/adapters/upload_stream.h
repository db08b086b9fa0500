// The messages of one UploadDataset call as metadata and bytes.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string_view>

#include "base/hash.h"
#include "runtime/call_context.h"
#include "runtime/rpc.h"
#include "services/ingest/core/uploader.h"
#include "vedette/ingest/v1/ingest.pb.h"

namespace vedette::ingest {

/// Lives as long as the call. Not thread-safe.
class UploadStream {
 public:
  UploadStream(runtime::Reader<v1::UploadDatasetRequest>& reader, const runtime::CallContext& call)
      : reader_(reader), call_(call) {}

  /// The first message, checked.
  absl::StatusOr<UploadRequest> ReadMetadata();
  /// Gives the data messages; nullopt at the end mark. ABORTED when the stream ends without it, INVALID_ARGUMENT when
  /// it does not fit what arrived.
  ByteSource Bytes();

 private:
  absl::StatusOr<std::optional<std::string_view>> Next();
  absl::StatusOr<std::optional<std::string_view>> AtEnd() const;

  runtime::Reader<v1::UploadDatasetRequest>& reader_;
  const runtime::CallContext& call_;
  v1::UploadDatasetRequest message_;
  Sha256 hash_;
  int64_t received_ = 0;
};

}  // namespace vedette::ingest
