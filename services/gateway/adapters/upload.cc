#include "services/gateway/adapters/upload.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "base/status.h"
#include "runtime/status.h"
#include "services/gateway/core/uri.h"

namespace vedette::gateway {
namespace {

using ingest::v1::Dataset;
using ingest::v1::UploadDatasetRequest;
using runtime::InvalidField;

constexpr size_t kPartBytes = 256 << 10;
constexpr size_t kMaxFieldBytes = 4 << 10;

/// What clients send files as. The last is curl's --data-binary without a Content-Type.
constexpr std::string_view kFileTypes[] = {"text/csv",
                                           "text/plain",
                                           "text/tab-separated-values",
                                           "application/csv",
                                           "application/gzip",
                                           "application/x-gzip",
                                           "application/octet-stream",
                                           "application/vnd.ms-excel",
                                           "application/x-www-form-urlencoded"};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void Add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    std::string out;
    for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// The stream into ingest. The first false from Add or End is the end; Result says why.
class Sender {
 public:
  Sender(ingest::v1::IngestService::StubInterface& ingest, const runtime::Outgoing& out, int64_t max_bytes)
      : ingest_(ingest), call_(out), max_bytes_(max_bytes) {}
  ~Sender() {
    if (writer_ != nullptr && !finished_) Cancel();
  }

  bool Begin(const UploadDatasetRequest::Metadata& metadata) {
    writer_ = ingest_.UploadDataset(call_.context(), &dataset_);
    UploadDatasetRequest message;
    *message.mutable_metadata() = metadata;
    return Write(message);
  }

  /// True as long as more bytes are wanted.
  bool Add(std::string_view bytes) {
    bytes_ += static_cast<int64_t>(bytes.size());
    if (bytes_ > max_bytes_) {
      too_large_ = true;
      return false;
    }
    if (finished_) return status_.ok();  // ingest knew the dataset: the rest of the body is not needed
    sha256_.Add(bytes);
    part_.append(bytes);
    return part_.size() < kPartBytes || Flush();
  }

  void End() {
    if (finished_ || !Flush()) return;
    UploadDatasetRequest message;
    message.mutable_end()->set_size_bytes(bytes_);
    message.mutable_end()->set_sha256(sha256_.Hex());
    if (Write(message)) {
      writer_->WritesDone();
      Finish();
    }
  }

  void Cancel() {
    call_.context()->TryCancel();
    if (writer_ != nullptr && !finished_) Finish();
  }

  bool finished() const { return finished_; }
  bool too_large() const { return too_large_; }
  int64_t bytes() const { return bytes_; }
  absl::StatusOr<Dataset> Result() const {
    if (!status_.ok()) return status_;
    return dataset_;
  }

 private:
  bool Flush() {
    if (part_.empty()) return true;
    UploadDatasetRequest message;
    message.set_data(std::move(part_));
    part_.clear();
    part_.reserve(kPartBytes + (64 << 10));
    return Write(message);
  }

  /// Waits while ingest does not keep up. Ingest ends the call early when it knows enough.
  bool Write(const UploadDatasetRequest& message) {
    if (writer_->Write(message)) return true;
    Finish();
    return status_.ok();
  }

  void Finish() {
    finished_ = true;
    status_ = runtime::FromGrpcStatus(writer_->Finish());
  }

  ingest::v1::IngestService::StubInterface& ingest_;
  runtime::ClientCall call_;
  const int64_t max_bytes_;
  std::unique_ptr<grpc::ClientWriterInterface<UploadDatasetRequest>> writer_;
  Dataset dataset_;
  Sha256 sha256_;
  std::string part_;
  int64_t bytes_ = 0;
  bool finished_ = false, too_large_ = false;
  absl::Status status_;
};

std::string MediaType(const httplib::Request& request) {
  std::string type = request.get_header_value("Content-Type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type;
}

/// A multipart body as it goes by.
class Form {
 public:
  Form(Sender& sender, UploadDatasetRequest::Metadata metadata) : sender_(sender), metadata_(std::move(metadata)) {}

  bool Header(const httplib::MultipartFormData& part) {
    if (!EndPart()) return false;
    name_ = part.name.substr(0, kMaxFieldBytes);
    value_.clear();
    if (part.filename.empty()) {
      if (file_seen_) return Fail(InvalidField(name_, "parts behind the file come too late; put them before it"));
      in_field_ = true;
      return true;
    }
    if (file_seen_) return Fail(InvalidField("file", "only one file may be uploaded at a time"));
    file_seen_ = true;
    if (metadata_.display_name().empty() && IsUtf8(part.filename)) metadata_.set_display_name(part.filename);
    return sender_.Begin(metadata_);
  }

  bool Data(std::string_view bytes) {
    if (!in_field_) return sender_.Add(bytes);
    if (value_.size() + bytes.size() > kMaxFieldBytes)
      return Fail(InvalidField(name_, fmt::format("longer than {} bytes", kMaxFieldBytes)));
    value_.append(bytes);
    return true;
  }

  /// After the last part.
  bool End() {
    if (!EndPart()) return false;
    if (!file_seen_) return Fail(InvalidField("file", "no part of the form is a file (a part with a filename)"));
    return true;
  }
  const absl::Status& status() const { return status_; }

 private:
  bool EndPart() {
    if (!in_field_) return status_.ok();
    in_field_ = false;
    if (!IsUtf8(value_)) return Fail(InvalidField(name_, "not UTF-8"));
    return Fail(SetFieldFromText(&metadata_, name_, value_));
  }
  bool Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
    return status_.ok();
  }

  Sender& sender_;
  UploadDatasetRequest::Metadata metadata_;
  std::string name_, value_;
  bool in_field_ = false, file_seen_ = false;
  absl::Status status_;
};

UploadResult Conclude(Sender& sender, bool complete, const absl::Status& own, int64_t max_bytes) {
  UploadResult out;
  out.body_read = complete;
  if (!own.ok()) {
    sender.Cancel();
    out.dataset = own;
  } else if (sender.too_large()) {
    sender.Cancel();
    out.dataset = runtime::WithReason(
        absl::ResourceExhaustedError(fmt::format("the upload is larger than {} MiB", max_bytes >> 20)),
        "BODY_TOO_LARGE");
    out.http_status = 413;
  } else if (complete) {
    sender.End();
    out.dataset = sender.Result();
  } else if (sender.finished()) {  // ingest refused it on the way
    out.dataset = sender.Result();
  } else {
    sender.Cancel();
    out.dataset = InvalidField("body", "the upload broke off before its end");
  }
  out.bytes = sender.bytes();
  return out;
}

}  // namespace

UploadResult Upload(ingest::v1::IngestService::StubInterface& ingest, const runtime::Outgoing& out,
                    const httplib::Request& request, const NamedValues& query, const httplib::ContentReader& body,
                    int64_t max_bytes) {
  UploadResult refused;
  UploadDatasetRequest::Metadata metadata;
  for (const auto& [name, value] : query) {
    if (absl::Status status = SetFieldFromText(&metadata, name, value); !status.ok()) {
      refused.dataset = std::move(status);
      return refused;
    }
  }
  Sender sender(ingest, out, max_bytes);
  if (request.is_multipart_form_data()) {
    Form form(sender, metadata);
    bool complete = body([&](const httplib::MultipartFormData& part) { return form.Header(part); },
                         [&](const char* data, size_t size) {
                           return form.Data({data, size});
                         });
    if (complete && !form.End()) complete = false;
    return Conclude(sender, complete, form.status(), max_bytes);
  }
  const std::string type = MediaType(request);
  if (!type.empty() && std::find(std::begin(kFileTypes), std::end(kFileTypes), type) == std::end(kFileTypes)) {
    refused.dataset = InvalidArgument("Content-Type {}: send the file as one of {}, or as multipart/form-data",
                                      type.substr(0, 100), fmt::join(kFileTypes, ", "));
    refused.http_status = 415;
    return refused;
  }
  bool complete = false;
  if (sender.Begin(metadata)) complete = body([&](const char* data, size_t size) { return sender.Add({data, size}); });
  return Conclude(sender, complete, absl::OkStatus(), max_bytes);
}

}  // namespace vedette::gateway
