#include "services/ingest/adapters/grpc_service.h"

#include <utility>
#include <vector>

#include "base/status.h"
#include "runtime/paging.h"
#include "runtime/rpc.h"
#include "runtime/status.h"
#include "services/ingest/adapters/proto_convert.h"
#include "services/ingest/adapters/upload_stream.h"
#include "wire/table_chunk.h"

namespace vedette::ingest {
namespace {

using grpc::CallbackServerContext;
using runtime::CallContext;
using runtime::Unary;

/// Columns that one reading may name.
constexpr int kMaxColumns = 1000;

template <typename Request>
absl::StatusOr<ListQuery> QueryOf(const Request& request, const std::string& filter) {
  ListQuery query;
  ASSIGN_OR_RETURN(query.page_size, runtime::PageSize(request.page_size()));
  query.page_token = request.page_token();
  query.filter = filter;
  return query;
}

template <typename T, typename Add>
void PageToProto(const Page<T>& page, std::string* next_page_token, Add add) {
  for (const T& item : page.items) ToProto(item, add());
  *next_page_token = page.next_page_token;
}

// The result of a store as the response, or its error.
template <typename T, typename Response>
absl::Status Answer(const absl::StatusOr<T>& result, Response* response) {
  RETURN_IF_ERROR(result.status());
  ToProto(*result, response);
  return absl::OkStatus();
}

}  // namespace

grpc::ServerReadReactor<v1::UploadDatasetRequest>* GrpcService::UploadDataset(CallbackServerContext* context,
                                                                              v1::Dataset* response) {
  return runtime::ClientStream<v1::UploadDatasetRequest>(
      server_, context, response,
      [this](runtime::Reader<v1::UploadDatasetRequest>& reader, v1::Dataset* out, CallContext& call) -> absl::Status {
        UploadStream stream(reader, call);
        ASSIGN_OR_RETURN(const UploadRequest request, stream.ReadMetadata());
        return Answer(parts_.uploader->Upload(call.tenant, request, stream.Bytes(), call.Compute()), out);
      });
}

grpc::ServerUnaryReactor* GrpcService::GetDataset(CallbackServerContext* context, const v1::GetDatasetRequest* request,
                                                  v1::Dataset* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const std::string id, DatasetId(rq.name()));
                 return Answer(parts_.datasets->Get(call.tenant, id), rs);
               });
}

grpc::ServerUnaryReactor* GrpcService::ListDatasets(CallbackServerContext* context,
                                                    const v1::ListDatasetsRequest* request,
                                                    v1::ListDatasetsResponse* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const ListQuery query, QueryOf(rq, rq.filter()));
                 ASSIGN_OR_RETURN(const Page<Dataset> page, parts_.datasets->List(call.tenant, query));
                 PageToProto(page, rs->mutable_next_page_token(), [rs] { return rs->add_datasets(); });
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* GrpcService::DeleteDataset(CallbackServerContext* context,
                                                     const v1::DeleteDatasetRequest* request,
                                                     google::protobuf::Empty* response) {
  return Unary(server_, context, request, response, [this](const auto& rq, auto*, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, DatasetId(rq.name()));
    return parts_.datasets->Delete(call.tenant, id);
  });
}

grpc::ServerWriteReactor<common::v1::TableChunk>* GrpcService::ReadDataset(CallbackServerContext* context,
                                                                           const v1::ReadDatasetRequest* request) {
  return runtime::ServerStream<common::v1::TableChunk>(
      server_, context, request,
      [this](const auto& rq, runtime::Writer<common::v1::TableChunk>& out, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string id, DatasetId(rq.name()));
        if (rq.columns_size() > kMaxColumns)
          return runtime::InvalidField("columns", fmt::format("there may be at most {}", kMaxColumns));
        const auto send = [&out](int64_t first_row, table::Table&& rows) -> absl::Status {
          common::v1::TableChunk chunk;
          wire::ToProto(first_row, rows, &chunk);
          return out.Write(chunk) ? absl::OkStatus() : absl::CancelledError("the caller is gone");
        };
        return parts_.reader->Read(call.tenant, id, rq.first_row(), rq.row_count(),
                                   {rq.columns().begin(), rq.columns().end()}, call.Compute(), send);
      });
}

grpc::ServerUnaryReactor* GrpcService::CreateTenant(CallbackServerContext* context,
                                                    const v1::CreateTenantRequest* request, v1::Tenant* response) {
  return Unary(server_, context, request, response, [this](const auto& rq, auto* rs, CallContext&) -> absl::Status {
    ASSIGN_OR_RETURN(const Tenant tenant, FromProto(rq));
    return Answer(parts_.catalogue->CreateTenant(tenant), rs);
  });
}

grpc::ServerUnaryReactor* GrpcService::ListTenants(CallbackServerContext* context,
                                                   const v1::ListTenantsRequest* request,
                                                   v1::ListTenantsResponse* response) {
  return Unary(server_, context, request, response, [this](const auto& rq, auto* rs, CallContext&) -> absl::Status {
    ASSIGN_OR_RETURN(const ListQuery query, QueryOf(rq, ""));
    ASSIGN_OR_RETURN(const Page<Tenant> page, parts_.catalogue->ListTenants(query));
    PageToProto(page, rs->mutable_next_page_token(), [rs] { return rs->add_tenants(); });
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcService::CreateEntity(CallbackServerContext* context,
                                                    const v1::CreateEntityRequest* request, v1::Entity* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const Entity entity, FromProto(rq));
                 return Answer(parts_.catalogue->CreateEntity(call.tenant, entity), rs);
               });
}

grpc::ServerUnaryReactor* GrpcService::ListEntities(CallbackServerContext* context,
                                                    const v1::ListEntitiesRequest* request,
                                                    v1::ListEntitiesResponse* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const ListQuery query, QueryOf(rq, rq.filter()));
                 ASSIGN_OR_RETURN(const Page<Entity> page, parts_.catalogue->ListEntities(call.tenant, query));
                 PageToProto(page, rs->mutable_next_page_token(), [rs] { return rs->add_entities(); });
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* GrpcService::CreateMetric(CallbackServerContext* context,
                                                    const v1::CreateMetricRequest* request, v1::Metric* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const Metric metric, FromProto(rq));
                 return Answer(parts_.catalogue->CreateMetric(call.tenant, metric), rs);
               });
}

grpc::ServerUnaryReactor* GrpcService::ListMetrics(CallbackServerContext* context,
                                                   const v1::ListMetricsRequest* request,
                                                   v1::ListMetricsResponse* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const ListQuery query, QueryOf(rq, rq.filter()));
                 ASSIGN_OR_RETURN(const Page<Metric> page, parts_.catalogue->ListMetrics(call.tenant, query));
                 PageToProto(page, rs->mutable_next_page_token(), [rs] { return rs->add_metrics(); });
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* GrpcService::WriteObservations(CallbackServerContext* context,
                                                         const v1::WriteObservationsRequest* request,
                                                         v1::WriteObservationsResponse* response) {
  return Unary(
      server_, context, request, response, [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
        const absl::Time first = absl::FromCivil(absl::CivilYear(parts_.first_year), absl::UTCTimeZone());
        ASSIGN_OR_RETURN(const ObservationBatch batch, FromProto(rq, first, absl::Now() + absl::Hours(24 * 366)));
        RETURN_IF_ERROR(parts_.observations->EnsurePartitions(MonthsOf(batch.time_micros)));
        ASSIGN_OR_RETURN(const WriteResult result, parts_.observations->Write(call.tenant, batch));
        rs->set_written(result.written);
        rs->set_duplicates(result.duplicates);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* GrpcService::ListObservations(CallbackServerContext* context,
                                                        const v1::ListObservationsRequest* request,
                                                        v1::ListObservationsResponse* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const SeriesQuery query, FromProto(rq));
                 ASSIGN_OR_RETURN(const Page<Observation> page, parts_.observations->List(call.tenant, query));
                 for (const Observation& o : page.items) {
                   rs->add_time_micros(o.time_micros);
                   rs->add_values(o.value);
                 }
                 rs->set_next_page_token(page.next_page_token);
                 return absl::OkStatus();
               });
}

grpc::ServerUnaryReactor* GrpcService::CreateChangeEvent(CallbackServerContext* context,
                                                         const v1::CreateChangeEventRequest* request,
                                                         v1::ChangeEvent* response) {
  return Unary(server_, context, request, response,
               [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
                 ASSIGN_OR_RETURN(const ChangeEvent event, FromProto(rq));
                 return Answer(parts_.observations->CreateChangeEvent(call.tenant, event, rq.request_id()), rs);
               });
}

grpc::ServerUnaryReactor* GrpcService::ListChangeEvents(CallbackServerContext* context,
                                                        const v1::ListChangeEventsRequest* request,
                                                        v1::ListChangeEventsResponse* response) {
  return Unary(
      server_, context, request, response, [this](const auto& rq, auto* rs, CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const ListQuery query, QueryOf(rq, rq.filter()));
        ASSIGN_OR_RETURN(const Page<ChangeEvent> page, parts_.observations->ListChangeEvents(call.tenant, query));
        PageToProto(page, rs->mutable_next_page_token(), [rs] { return rs->add_change_events(); });
        return absl::OkStatus();
      });
}

}  // namespace vedette::ingest
