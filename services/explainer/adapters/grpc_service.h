#pragma once

#include <functional>

#include "runtime/server.h"
#include "services/explainer/core/explainer.h"
#include "vedette/explainer/v1/explainer.grpc.pb.h"

namespace vedette::explainer {

class ExplainerGrpc final : public v1::ExplainerService::CallbackService {
 public:
  using SourcesFor = std::function<Sources(const runtime::CallContext&)>;
  /// `sources` gives other services as the caller may see them.
  ExplainerGrpc(runtime::Server& server, Explainer& explainer, SourcesFor sources, ThreadPool* pool)
      : server_(server), explainer_(explainer), sources_(std::move(sources)), pool_(pool) {}

  grpc::ServerUnaryReactor* ExplainAnomaly(grpc::CallbackServerContext* ctx, const v1::ExplainAnomalyRequest* rq,
                                           v1::Explanation* rs) override;
  grpc::ServerUnaryReactor* BatchExplainAnomalies(grpc::CallbackServerContext* ctx,
                                                  const v1::BatchExplainAnomaliesRequest* rq,
                                                  v1::BatchExplainAnomaliesResponse* rs) override;
  grpc::ServerWriteReactor<v1::ExplanationResult>* StreamExplanations(grpc::CallbackServerContext* ctx,
                                                                      const v1::StreamExplanationsRequest* rq) override;
  grpc::ServerUnaryReactor* ListExplanations(grpc::CallbackServerContext* ctx, const v1::ListExplanationsRequest* rq,
                                             v1::ListExplanationsResponse* rs) override;

 private:
  /// One after the other; `take` says false when nobody wants more. `share`: each gets its part of the time that is
  /// left.
  absl::Status ExplainAll(const std::vector<std::string>& ids, const Ask& ask, bool share, runtime::CallContext& call,
                          const std::function<bool(v1::ExplanationResult&&)>& take);

  runtime::Server& server_;
  Explainer& explainer_;
  SourcesFor sources_;
  ThreadPool* pool_;
};

}  // namespace vedette::explainer
