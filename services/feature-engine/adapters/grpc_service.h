// vedette.features.v1.FeatureEngineService: protos to domain, one call of the core or a store, domain to protos.
#pragma once

#include <functional>
#include <memory>

#include "runtime/call_context.h"
#include "runtime/server.h"
#include "services/feature-engine/core/engine.h"
#include "vedette/features/v1/features.grpc.pb.h"

namespace vedette::feature_engine {

/// Where a call's datasets come from, as its caller.
using SourceFactory = std::function<std::unique_ptr<DatasetSource>(const runtime::CallContext& call)>;

class GrpcService final : public features::v1::FeatureEngineService::CallbackService {
 public:
  /// All outlive the service.
  GrpcService(runtime::Server& server, const Engine* engine, FeatureSetStore* feature_sets, BaselineStore* baselines,
              SourceFactory source)
      : server_(server),
        engine_(engine),
        feature_sets_(feature_sets),
        baselines_(baselines),
        source_(std::move(source)) {}

  grpc::ServerUnaryReactor* CreateFeatureSet(grpc::CallbackServerContext* context,
                                             const features::v1::CreateFeatureSetRequest* request,
                                             features::v1::FeatureSet* response) override;
  grpc::ServerUnaryReactor* GetFeatureSet(grpc::CallbackServerContext* context,
                                          const features::v1::GetFeatureSetRequest* request,
                                          features::v1::FeatureSet* response) override;
  grpc::ServerUnaryReactor* ListFeatureSets(grpc::CallbackServerContext* context,
                                            const features::v1::ListFeatureSetsRequest* request,
                                            features::v1::ListFeatureSetsResponse* response) override;
  grpc::ServerWriteReactor<features::v1::StreamFeaturesResponse>* StreamFeatures(
      grpc::CallbackServerContext* context, const features::v1::StreamFeaturesRequest* request) override;
  grpc::ServerUnaryReactor* ProfileDataset(grpc::CallbackServerContext* context,
                                           const features::v1::ProfileDatasetRequest* request,
                                           features::v1::DataProfile* response) override;
  grpc::ServerUnaryReactor* CreateBaseline(grpc::CallbackServerContext* context,
                                           const features::v1::CreateBaselineRequest* request,
                                           features::v1::Baseline* response) override;
  grpc::ServerUnaryReactor* GetBaseline(grpc::CallbackServerContext* context,
                                        const features::v1::GetBaselineRequest* request,
                                        features::v1::Baseline* response) override;
  grpc::ServerUnaryReactor* ListBaselines(grpc::CallbackServerContext* context,
                                          const features::v1::ListBaselinesRequest* request,
                                          features::v1::ListBaselinesResponse* response) override;
  grpc::ServerUnaryReactor* DeleteBaseline(grpc::CallbackServerContext* context,
                                           const features::v1::DeleteBaselineRequest* request,
                                           google::protobuf::Empty* response) override;

 private:
  runtime::Server& server_;
  const Engine* engine_;
  FeatureSetStore* feature_sets_;
  BaselineStore* baselines_;
  SourceFactory source_;
};

}  // namespace vedette::feature_engine
