#include "services/feature-engine/adapters/grpc_service.h"

#include <utility>

#include "base/status.h"
#include "runtime/paging.h"
#include "runtime/rpc.h"
#include "services/feature-engine/adapters/proto_convert.h"
#include "wire/table_chunk.h"

namespace vedette::feature_engine {
namespace {

using features::v1::StreamFeaturesResponse;
using grpc::CallbackServerContext;
using runtime::CallContext;
using runtime::Unary;

template <typename Request>
absl::StatusOr<ListQuery> QueryOf(const Request& request) {
  ListQuery query{.page_token = request.page_token(), .filter = request.filter()};
  ASSIGN_OR_RETURN(query.page_size, runtime::PageSize(request.page_size()));
  return query;
}

// The result of the core as the response, or its error.
template <typename T, typename Response>
absl::Status Answer(const absl::StatusOr<T>& result, Response* response) {
  RETURN_IF_ERROR(result.status());
  ToProto(*result, response);
  return absl::OkStatus();
}

template <typename T>
absl::Status Send(runtime::Writer<StreamFeaturesResponse>& out, const T& part) {
  StreamFeaturesResponse message;
  ToProto(part, &message);
  return out.Write(message) ? absl::OkStatus() : absl::CancelledError("the caller is gone");
}

}  // namespace

grpc::ServerUnaryReactor* GrpcService::CreateFeatureSet(CallbackServerContext* context,
                                                        const features::v1::CreateFeatureSetRequest* request,
                                                        features::v1::FeatureSet* response) {
  return Unary(
      server_, context, request, response, [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string dataset, DatasetId(rq.dataset(), "dataset"));
        ASSIGN_OR_RETURN(const table::PrepareOptions options, wire::FromProto(rq.options()));
        return Answer(engine_->CreateFeatureSet(call.tenant, dataset, options, *source_(call), call.Compute()), rs);
      });
}

grpc::ServerUnaryReactor* GrpcService::GetFeatureSet(CallbackServerContext* context,
                                                     const features::v1::GetFeatureSetRequest* request,
                                                     features::v1::FeatureSet* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const std::string id, FeatureSetIdOf(rq.name(), "name"));
                 return Answer(feature_sets_->Get(call.tenant, id), rs);
               });
}

grpc::ServerUnaryReactor* GrpcService::ListFeatureSets(CallbackServerContext* context,
                                                       const features::v1::ListFeatureSetsRequest* request,
                                                       features::v1::ListFeatureSetsResponse* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const ListQuery query, QueryOf(rq));
                 ASSIGN_OR_RETURN(const Page<FeatureSet> page, feature_sets_->List(call.tenant, query));
                 for (const FeatureSet& item : page.items) ToProto(item, rs->add_feature_sets());
                 rs->set_next_page_token(page.next_page_token);
                 return absl::OkStatus();
               });
}

grpc::ServerWriteReactor<StreamFeaturesResponse>* GrpcService::StreamFeatures(
    CallbackServerContext* context, const features::v1::StreamFeaturesRequest* request) {
  return runtime::ServerStream<StreamFeaturesResponse>(
      server_, context, request,
      [this](const auto& rq, runtime::Writer<StreamFeaturesResponse>& out, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const FeatureQuery query, FromProto(rq));
        const FeatureSink sink{.header = [&out](const FeatureHeader& header) { return Send(out, header); },
                               .rows = [&out](FeatureRows&& rows) { return Send(out, rows); }};
        return engine_->StreamFeatures(call.tenant, query, *source_(call), call.Compute(), sink);
      });
}

grpc::ServerUnaryReactor* GrpcService::ProfileDataset(CallbackServerContext* context,
                                                      const features::v1::ProfileDatasetRequest* request,
                                                      features::v1::DataProfile* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const std::string dataset, DatasetId(rq.dataset(), "dataset"));
                 return Answer(engine_->Profile(dataset, *source_(call), call.Compute()), rs);
               });
}

grpc::ServerUnaryReactor* GrpcService::CreateBaseline(CallbackServerContext* context,
                                                      const features::v1::CreateBaselineRequest* request,
                                                      features::v1::Baseline* response) {
  return Unary(
      server_, context, request, response, [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(Baseline wanted, FromProto(rq));
        return Answer(
            engine_->CreateBaseline(call.tenant, std::move(wanted), rq.request_id(), *source_(call), call.Compute()),
            rs);
      });
}

grpc::ServerUnaryReactor* GrpcService::GetBaseline(CallbackServerContext* context,
                                                   const features::v1::GetBaselineRequest* request,
                                                   features::v1::Baseline* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const std::string id, BaselineId(rq.name()));
                 return Answer(baselines_->Get(call.tenant, id), rs);
               });
}

grpc::ServerUnaryReactor* GrpcService::ListBaselines(CallbackServerContext* context,
                                                     const features::v1::ListBaselinesRequest* request,
                                                     features::v1::ListBaselinesResponse* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const ListQuery query, QueryOf(rq));
                 ASSIGN_OR_RETURN(const Page<Baseline> page, baselines_->List(call.tenant, query));
                 for (const Baseline& item : page.items) ToProto(item, rs->add_baselines());
                 rs->set_next_page_token(page.next_page_token);
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* GrpcService::DeleteBaseline(CallbackServerContext* context,
                                                      const features::v1::DeleteBaselineRequest* request,
                                                      google::protobuf::Empty* response) {
  return Unary(server_, context, request, response, [this](const auto& rq, auto*, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, BaselineId(rq.name()));
    return baselines_->Delete(call.tenant, id);
  });
}

}  // namespace vedette::feature_engine
