// POST /v1/datasets:upload: a file on its way through, never in memory as a whole.
#pragma once

#include <absl/status/statusor.h>
#include <httplib.h>

#include <cstdint>
#include <string>

#include "runtime/client.h"
#include "services/gateway/adapters/transcoder.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"

namespace vedette::gateway {

inline constexpr std::string_view kUploadPath = "/v1/datasets:upload";

struct UploadResult {
  absl::StatusOr<ingest::v1::Dataset> dataset = absl::UnknownError("");
  int http_status = 0;     ///< when it is not what the status' code says
  bool body_read = false;  ///< to its end
  int64_t bytes = 0;       ///< of the file
};

/// Streams a request's body into ingest. Two forms:
/// - the body is the file; `query` has display_name, request_id, format, delimiter;
/// - multipart/form-data: the first part with a file name is the file; parts before it, and `query`, have the fields.
/// Reads no faster than ingest takes it; a client that leaves cancels the upload, and ingest forgets it.
UploadResult Upload(ingest::v1::IngestService::StubInterface& ingest, const runtime::Outgoing& out,
                    const httplib::Request& request, const NamedValues& query, const httplib::ContentReader& body,
                    int64_t max_bytes);

}  // namespace vedette::gateway
