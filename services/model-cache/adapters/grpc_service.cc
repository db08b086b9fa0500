#include "services/model-cache/adapters/grpc_service.h"

#include <google/protobuf/util/time_util.h>

#include "base/status.h"
#include "runtime/filter.h"
#include "runtime/log.h"
#include "runtime/paging.h"
#include "services/model-cache/adapters/proto.h"

namespace vedette::model_cache {
namespace {

using google::protobuf::util::TimeUtil;
using runtime::CallContext;
using GrpcContext = grpc::CallbackServerContext;

constexpr size_t kPartBytes = 512 << 10;
constexpr absl::Duration kMaxWait = absl::Seconds(60);

absl::Duration FromProto(const google::protobuf::Duration& d) { return absl::Microseconds(TimeUtil::DurationToMicroseconds(d)); }

const runtime::FilterSchema& ModelFilter() {
  using Type = runtime::FilterField::Type;
  static const runtime::FilterSchema schema{
      .fields = {{.name = "state", .sql = "state", .type = Type::kEnum, .values = {"ACTIVE", "INVALIDATED", "EXPIRED"}},
                 {.name = "algorithm", .sql = "algorithm"},
                 {.name = "subject", .sql = "subject"},
                 {.name = "create_time", .sql = "create_time", .type = Type::kTimestamp}}};
  return schema;
}

}  // namespace

ModelCacheGrpc::ModelCacheGrpc(runtime::Server& server, Cache& cache, ModelStore& store, runtime::Metrics& metrics)
    : server_(server), cache_(cache), store_(store),
      hits_(metrics.Counter("model_cache_requests_total", "AcquireModel calls by outcome.", {{"outcome", "hit"}})),
      misses_(metrics.Counter("model_cache_requests_total", "AcquireModel calls by outcome.", {{"outcome", "miss"}})) {}

grpc::ServerUnaryReactor* ModelCacheGrpc::AcquireModel(GrpcContext* ctx, const pb::AcquireModelRequest* rq, pb::AcquireModelResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    const absl::Duration wait = std::min(FromProto(request.wait()), kMaxWait);
    // Answer "still training" while the caller still listens.
    const absl::Time until = std::min(absl::Now() + wait, call.deadline - absl::Milliseconds(200));
    ASSIGN_OR_RETURN(const Acquired acquired, cache_.Acquire(call.tenant, model_cache::FromProto(request.key()), until, call.stop));
    if (const Model* model = std::get_if<Model>(&acquired)) {
      hits_.Increment();
      ToProto(*model, out->mutable_model());
    } else if (const Lease* lease = std::get_if<Lease>(&acquired)) {
      misses_.Increment();
      ToProto(*lease, out->mutable_lease());
    } else {
      *out->mutable_retry_after() = TimeUtil::SecondsToDuration(1);
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ModelCacheGrpc::RenewLease(GrpcContext* ctx, const pb::RenewLeaseRequest* rq, pb::Lease* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    RETURN_IF_ERROR(CheckUuid("lease_id", request.lease_id()));
    ASSIGN_OR_RETURN(const Lease lease, cache_.Renew(call.tenant, request.lease_id()));
    ToProto(lease, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ModelCacheGrpc::ReleaseLease(GrpcContext* ctx, const pb::ReleaseLeaseRequest* rq, pb::ReleaseLeaseResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto*, CallContext& call) -> absl::Status {
    RETURN_IF_ERROR(CheckUuid("lease_id", request.lease_id()));
    runtime::LogWarning("training failed", {{"lease", request.lease_id()}, {"error", request.error().substr(0, 500)}});
    return cache_.Release(call.tenant, request.lease_id());
  });
}

grpc::ServerReadReactor<pb::UploadModelRequest>* ModelCacheGrpc::UploadModel(GrpcContext* ctx, pb::Model* rs) {
  return runtime::ClientStream<pb::UploadModelRequest>(server_, ctx, rs,
      [this](runtime::Reader<pb::UploadModelRequest>& reader, pb::Model* out, CallContext& call) -> absl::Status {
        pb::UploadModelRequest part;
        if (!reader.Read(&part) || !part.has_metadata()) return InvalidArgument("the first message must be the metadata");
        const auto& m = part.metadata();
        RETURN_IF_ERROR(CheckUuid("metadata.lease_id", m.lease_id()));
        const Upload upload{.lease_id = m.lease_id(), .sha256 = m.sha256(), .size_bytes = m.size_bytes(), .training_rows = m.training_rows(),
                            .training_seconds = m.training_seconds(), .ttl = FromProto(m.ttl())};
        ASSIGN_OR_RETURN(const Model model, cache_.Store(call.tenant, upload, [&]() -> std::optional<std::string_view> {
          if (!reader.Read(&part) || !part.has_data()) return std::nullopt;
          return part.data();
        }));
        ToProto(model, out);
        return absl::OkStatus();
      });
}

grpc::ServerWriteReactor<pb::DownloadModelResponse>* ModelCacheGrpc::DownloadModel(GrpcContext* ctx, const pb::DownloadModelRequest* rq) {
  return runtime::ServerStream<pb::DownloadModelResponse>(server_, ctx, rq,
      [this](const pb::DownloadModelRequest& request, runtime::Writer<pb::DownloadModelResponse>& writer, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string id, ModelId("name", request.name()));
        ASSIGN_OR_RETURN(const Model model, store_.Get(call.tenant, id));
        ASSIGN_OR_RETURN(const auto bytes, cache_.Bytes(call.tenant, id));
        pb::DownloadModelResponse message;
        ToProto(model, message.mutable_model());
        if (!writer.Write(message)) return absl::OkStatus();
        for (size_t at = 0; at < bytes->size(); at += kPartBytes) {
          message.set_data(bytes->substr(at, kPartBytes));
          if (!writer.Write(message)) return absl::OkStatus();
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* ModelCacheGrpc::GetModel(GrpcContext* ctx, const pb::GetModelRequest* rq, pb::Model* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, ModelId("name", request.name()));
    ASSIGN_OR_RETURN(const Model model, store_.Get(call.tenant, id));
    ToProto(model, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ModelCacheGrpc::ListModels(GrpcContext* ctx, const pb::ListModelsRequest* rq, pb::ListModelsResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    Listing listing;
    ASSIGN_OR_RETURN(const int size, runtime::PageSize(request.page_size()));
    listing.limit = size + 1;
    ASSIGN_OR_RETURN(listing.cursor, runtime::DecodePageToken(request.page_token(), runtime::RequestFingerprint(request), 2));
    ASSIGN_OR_RETURN(runtime::SqlFilter sql, runtime::FilterToSql(request.filter(), ModelFilter()));
    listing.where = std::move(sql.where);
    listing.params = std::move(sql.params);
    ASSIGN_OR_RETURN(std::vector<Model> models, store_.List(call.tenant, listing));
    if (static_cast<int>(models.size()) == listing.limit) {
      models.pop_back();
      const std::vector<std::string> keys = {absl::FormatTime(absl::RFC3339_full, models.back().create_time, absl::UTCTimeZone()), models.back().id};
      out->set_next_page_token(runtime::EncodePageToken(keys, runtime::RequestFingerprint(request)));
    }
    for (const Model& model : models) ToProto(model, out->add_models());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ModelCacheGrpc::InvalidateModel(GrpcContext* ctx, const pb::InvalidateModelRequest* rq, pb::Model* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, ModelId("name", request.name()));
    ASSIGN_OR_RETURN(const Model model, store_.Invalidate(call.tenant, id, request.reason().substr(0, 500)));
    ToProto(model, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ModelCacheGrpc::GetCacheStatistics(GrpcContext* ctx, const pb::GetCacheStatisticsRequest* rq, pb::CacheStatistics* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto&, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const Statistics s, store_.Statistics7Days(call.tenant));
    out->set_hits(s.hits);
    out->set_misses(s.misses);
    const int64_t all = s.hits + s.misses;
    out->set_hit_rate(all == 0 ? 0 : static_cast<double>(s.hits) / static_cast<double>(all));
    out->set_models(s.models);
    out->set_bytes(s.bytes);
    out->set_average_training_seconds(s.average_training_seconds);
    return absl::OkStatus();
  });
}

}  // namespace vedette::model_cache
