#pragma once

#include "runtime/metrics.h"
#include "runtime/server.h"
#include "services/model-cache/core/cache.h"
#include "vedette/modelcache/v1/model_cache.grpc.pb.h"

namespace vedette::model_cache {

namespace pb = modelcache::v1;

class ModelCacheGrpc final : public pb::ModelCacheService::CallbackService {
 public:
  ModelCacheGrpc(runtime::Server& server, Cache& cache, ModelStore& store, runtime::Metrics& metrics);

  grpc::ServerUnaryReactor* AcquireModel(grpc::CallbackServerContext* ctx, const pb::AcquireModelRequest* rq,
                                         pb::AcquireModelResponse* rs) override;
  grpc::ServerUnaryReactor* RenewLease(grpc::CallbackServerContext* ctx, const pb::RenewLeaseRequest* rq, pb::Lease* rs) override;
  grpc::ServerUnaryReactor* ReleaseLease(grpc::CallbackServerContext* ctx, const pb::ReleaseLeaseRequest* rq,
                                         pb::ReleaseLeaseResponse* rs) override;
  grpc::ServerReadReactor<pb::UploadModelRequest>* UploadModel(grpc::CallbackServerContext* ctx, pb::Model* rs) override;
  grpc::ServerWriteReactor<pb::DownloadModelResponse>* DownloadModel(grpc::CallbackServerContext* ctx,
                                                                     const pb::DownloadModelRequest* rq) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* ctx, const pb::GetModelRequest* rq, pb::Model* rs) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* ctx, const pb::ListModelsRequest* rq,
                                       pb::ListModelsResponse* rs) override;
  grpc::ServerUnaryReactor* InvalidateModel(grpc::CallbackServerContext* ctx, const pb::InvalidateModelRequest* rq,
                                            pb::Model* rs) override;
  grpc::ServerUnaryReactor* GetCacheStatistics(grpc::CallbackServerContext* ctx, const pb::GetCacheStatisticsRequest* rq,
                                               pb::CacheStatistics* rs) override;

 private:
  runtime::Server& server_;
  Cache& cache_;
  ModelStore& store_;
  prometheus::Counter& hits_;
  prometheus::Counter& misses_;
};

}  // namespace vedette::model_cache
