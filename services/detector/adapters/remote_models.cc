#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "base/hash.h"
#include "base/status.h"
#include "runtime/log.h"
#include "services/detector/adapters/remote.h"
#include "vedette/modelcache/v1/model_cache.grpc.pb.h"

namespace vedette::detector {
namespace {

using google::protobuf::util::TimeUtil;
using ModelCache = modelcache::v1::ModelCacheService;

constexpr size_t kModelPartBytes = 512 << 10;
constexpr size_t kMaxModelBytes = size_t{8} << 30;

absl::StatusOr<std::unique_ptr<ModelCache::Stub>> ModelStub(runtime::Channels& channels) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("model-cache"));
  return ModelCache::NewStub(channel);
}

Lease FromProto(const modelcache::v1::Lease& lease) {
  return {.id = lease.lease_id(),
          .expire_time = absl::FromUnixMicros(TimeUtil::TimestampToMicroseconds(lease.expire_time()))};
}

}  // namespace

absl::StatusOr<Acquired> RemoteModels::Acquire(const ModelKey& key, absl::Duration wait) {
  ASSIGN_OR_RETURN(const auto stub, ModelStub(channels_));
  modelcache::v1::AcquireModelRequest request;
  auto* k = request.mutable_key();
  k->set_subject(key.subject);
  k->mutable_schema()->Add(key.schema.begin(), key.schema.end());
  k->set_algorithm(key.algorithm);
  k->mutable_parameters()->insert(key.parameters.begin(), key.parameters.end());
  k->set_feature_set(key.feature_set);
  k->set_feature_set_version(key.feature_set_version);
  *request.mutable_wait() = TimeUtil::MillisecondsToDuration(absl::ToInt64Milliseconds(wait));
  ASSIGN_OR_RETURN(const modelcache::v1::AcquireModelResponse response,
                   runtime::Call(*stub, &ModelCache::Stub::AcquireModel, out_, request));
  if (response.has_model()) return Acquired(Hit{response.model().name()});
  if (response.has_lease()) return Acquired(FromProto(response.lease()));
  return Acquired(Busy{});
}

absl::StatusOr<Lease> RemoteModels::Renew(const std::string& lease_id) {
  ASSIGN_OR_RETURN(const auto stub, ModelStub(channels_));
  modelcache::v1::RenewLeaseRequest request;
  request.set_lease_id(lease_id);
  ASSIGN_OR_RETURN(const modelcache::v1::Lease lease,
                   runtime::Call(*stub, &ModelCache::Stub::RenewLease, out_, request));
  return FromProto(lease);
}

void RemoteModels::Release(const std::string& lease_id, const absl::Status& why) {
  const auto stub = ModelStub(channels_);
  if (!stub.ok()) return;
  modelcache::v1::ReleaseLeaseRequest request;
  request.set_lease_id(lease_id);
  request.set_error(std::string(Message(why).substr(0, 500)));
  // Even when the work was cancelled: otherwise everybody waits until the lease runs out.
  runtime::Outgoing out = out_;
  out.stop = {};
  out.deadline = absl::Now() + absl::Seconds(5);
  const auto released = runtime::Call(**stub, &ModelCache::Stub::ReleaseLease, out, request);
  if (!released.ok())
    runtime::LogWarning("lease not released; it will run out", {{"error", Message(released.status())}});
}

absl::StatusOr<std::string> RemoteModels::Upload(const std::string& lease_id, const std::string& bytes,
                                                 const Training& training) {
  ASSIGN_OR_RETURN(const auto stub, ModelStub(channels_));
  runtime::ClientCall call(out_);
  modelcache::v1::Model model;
  const auto writer = stub->UploadModel(call.context(), &model);
  modelcache::v1::UploadModelRequest part;
  auto* metadata = part.mutable_metadata();
  metadata->set_lease_id(lease_id);
  metadata->set_sha256(Sha256Hex(bytes));
  metadata->set_size_bytes(static_cast<int64_t>(bytes.size()));
  metadata->set_training_rows(training.rows);
  metadata->set_training_seconds(training.seconds);
  bool open = writer->Write(part);
  for (size_t at = 0; open && at < bytes.size(); at += kModelPartBytes) {
    part.set_data(bytes.substr(at, kModelPartBytes));
    open = writer->Write(part);
  }
  writer->WritesDone();
  if (const grpc::Status status = writer->Finish(); !status.ok()) return runtime::FromGrpcStatus(status);
  return model.name();
}

absl::StatusOr<std::string> RemoteModels::Download(const std::string& model) {
  ASSIGN_OR_RETURN(const auto stub, ModelStub(channels_));
  modelcache::v1::DownloadModelRequest request;
  request.set_name(model);
  std::string bytes;
  RETURN_IF_ERROR(runtime::CallStream(
      *stub, &ModelCache::Stub::DownloadModel, out_, request,
      [&bytes](const modelcache::v1::DownloadModelResponse& part) -> absl::Status {
        if (part.has_model())
          bytes.reserve(static_cast<size_t>(std::clamp<int64_t>(part.model().size_bytes(), 0, 1 << 28)));
        if (bytes.size() + part.data().size() > kMaxModelBytes)
          return ResourceExhausted("the model is larger than 8 GiB");
        bytes += part.data();
        return absl::OkStatus();
      }));
  return bytes;
}

}  // namespace vedette::detector
