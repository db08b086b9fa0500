#include "services/ingest/adapters/upload_stream.h"

#include "base/status.h"
#include "runtime/status.h"
#include "services/ingest/adapters/proto_convert.h"

namespace vedette::ingest {

absl::StatusOr<UploadRequest> UploadStream::ReadMetadata() {
  if (!reader_.Read(&message_)) {
    RETURN_IF_ERROR(call_.Check());
    return runtime::InvalidField("metadata", "the stream is empty; its first message must be metadata");
  }
  if (!message_.has_metadata()) return runtime::InvalidField("metadata", "the first message must be metadata");
  return FromProto(message_.metadata());
}

ByteSource UploadStream::Bytes() {
  return [this] { return Next(); };
}

absl::StatusOr<std::optional<std::string_view>> UploadStream::Next() {
  while (reader_.Read(&message_)) {
    if (message_.has_end()) return AtEnd();
    if (!message_.has_data()) return runtime::InvalidField("part", "only data and, last, end may follow the metadata");
    if (message_.data().empty()) continue;
    received_ += static_cast<int64_t>(message_.data().size());
    hash_.Update(message_.data());
    return std::optional<std::string_view>(message_.data());
  }
  RETURN_IF_ERROR(call_.Check());
  return runtime::WithReason(
      absl::AbortedError("the upload ended without its end message: the connection broke, or the client sends none"),
      "UPLOAD_INCOMPLETE");
}

absl::StatusOr<std::optional<std::string_view>> UploadStream::AtEnd() const {
  const v1::UploadDatasetRequest::End& end = message_.end();
  if (end.size_bytes() != received_) {
    return runtime::InvalidField("end.size_bytes",
                                 fmt::format("is {}, but {} bytes arrived", end.size_bytes(), received_));
  }
  if (!end.sha256().empty() && end.sha256() != hash_.Hex()) {
    return runtime::InvalidField("end.sha256", "does not fit the bytes that arrived");
  }
  return std::optional<std::string_view>();
}

}  // namespace vedette::ingest
