#pragma once

#include <functional>

#include "runtime/server.h"
#include "services/explainer/core/explainer.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"

namespace vedette::explainer {

class ExplainerGrpc final : public v1::ExplainerService::CallbackService {
 public:
  /// `sources` gives other services as the caller may see them.
  ExplainerGrpc(runtime::Server& server, Explainer& explainer, std::function<Sources(const runtime::CallContext&)> sources)
      : server_(server), explainer_(explainer), sources_(std::move(sources)) {}

  grpc::ServerUnaryReactor* ExplainAnomaly(grpc::CallbackServerContext* ctx, const v1::ExplainAnomalyRequest* rq,
                                           v1::Explanation* rs) override;
  grpc::ServerUnaryReactor* ListExplanations(grpc::CallbackServerContext* ctx, const v1::ListExplanationsRequest* rq,
                                             v1::ListExplanationsResponse* rs) override;

 private:
  runtime::Server& server_;
  Explainer& explainer_;
  std::function<Sources(const runtime::CallContext&)> sources_;
};

}  // namespace vedette::explainer
