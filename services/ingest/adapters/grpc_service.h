// vedette.ingest.v1.IngestService: protos to domain, one call of the core or a store, domain to protos.
#pragma once

#include "runtime/call_context.h"
#include "runtime/server.h"
#include "services/ingest/core/dataset_reader.h"
#include "services/ingest/core/uploader.h"
#include "services/ingest/ports/catalogue_store.h"
#include "services/ingest/ports/dataset_store.h"
#include "services/ingest/ports/observation_store.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"

namespace vedette::ingest {

/// What the RPCs work on; outlives the service.
struct Parts {
  const Uploader* uploader = nullptr;
  const DatasetReader* reader = nullptr;
  DatasetStore* datasets = nullptr;
  CatalogueStore* catalogue = nullptr;
  ObservationStore* observations = nullptr;
  int first_year = 1970;  ///< of accepted observations
};

class GrpcService final : public v1::IngestService::CallbackService {
 public:
  GrpcService(runtime::Server& server, const Parts& parts) : server_(server), parts_(parts) {}

  grpc::ServerReadReactor<v1::UploadDatasetRequest>* UploadDataset(grpc::CallbackServerContext* context,
                                                                   v1::Dataset* response) override;
  grpc::ServerUnaryReactor* GetDataset(grpc::CallbackServerContext* context, const v1::GetDatasetRequest* request,
                                       v1::Dataset* response) override;
  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context, const v1::ListDatasetsRequest* request,
                                         v1::ListDatasetsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteDataset(grpc::CallbackServerContext* context, const v1::DeleteDatasetRequest* request,
                                          google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<common::v1::TableChunk>* ReadDataset(grpc::CallbackServerContext* context,
                                                                const v1::ReadDatasetRequest* request) override;
  grpc::ServerUnaryReactor* CreateTenant(grpc::CallbackServerContext* context, const v1::CreateTenantRequest* request,
                                         v1::Tenant* response) override;
  grpc::ServerUnaryReactor* ListTenants(grpc::CallbackServerContext* context, const v1::ListTenantsRequest* request,
                                        v1::ListTenantsResponse* response) override;
  grpc::ServerUnaryReactor* CreateEntity(grpc::CallbackServerContext* context, const v1::CreateEntityRequest* request,
                                         v1::Entity* response) override;
  grpc::ServerUnaryReactor* ListEntities(grpc::CallbackServerContext* context, const v1::ListEntitiesRequest* request,
                                         v1::ListEntitiesResponse* response) override;
  grpc::ServerUnaryReactor* CreateMetric(grpc::CallbackServerContext* context, const v1::CreateMetricRequest* request,
                                         v1::Metric* response) override;
  grpc::ServerUnaryReactor* ListMetrics(grpc::CallbackServerContext* context, const v1::ListMetricsRequest* request,
                                        v1::ListMetricsResponse* response) override;
  grpc::ServerUnaryReactor* WriteObservations(grpc::CallbackServerContext* context,
                                              const v1::WriteObservationsRequest* request,
                                              v1::WriteObservationsResponse* response) override;
  grpc::ServerUnaryReactor* ListObservations(grpc::CallbackServerContext* context,
                                             const v1::ListObservationsRequest* request,
                                             v1::ListObservationsResponse* response) override;
  grpc::ServerUnaryReactor* CreateChangeEvent(grpc::CallbackServerContext* context,
                                              const v1::CreateChangeEventRequest* request,
                                              v1::ChangeEvent* response) override;
  grpc::ServerUnaryReactor* ListChangeEvents(grpc::CallbackServerContext* context,
                                             const v1::ListChangeEventsRequest* request,
                                             v1::ListChangeEventsResponse* response) override;

 private:
  runtime::Server& server_;
  const Parts parts_;
};

}  // namespace vedette::ingest
