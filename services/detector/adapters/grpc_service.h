#pragma once

#include "base/thread_pool.h"
#include "llm/assistant.h"
#include "messaging/publish.h"
#include "runtime/client.h"
#include "runtime/server.h"
#include "services/detector/core/engine.h"
#include "vedette/detector/v1/detector.grpc.pb.h"

namespace vedette::detector {

class DetectorGrpc final : public v1::DetectorService::CallbackService {
 public:
  DetectorGrpc(runtime::Server& server, Engine& engine, const outlier::Catalog& catalog, runtime::Channels& channels,
               const runtime::TokenFile& own_token, messaging::Publisher& publisher, llm::Assistant& assistant, ThreadPool* pool)
      : server_(server), engine_(engine), catalog_(catalog), channels_(channels), own_token_(own_token), publisher_(publisher),
        assistant_(assistant), pool_(pool) {}

  grpc::ServerUnaryReactor* ListAlgorithms(grpc::CallbackServerContext* ctx, const v1::ListAlgorithmsRequest* rq,
                                           v1::ListAlgorithmsResponse* rs) override;
  grpc::ServerUnaryReactor* GetAlgorithm(grpc::CallbackServerContext* ctx, const v1::GetAlgorithmRequest* rq,
                                         v1::Algorithm* rs) override;
  grpc::ServerUnaryReactor* ListThresholdRules(grpc::CallbackServerContext* ctx, const v1::ListThresholdRulesRequest* rq,
                                               v1::ListThresholdRulesResponse* rs) override;
  grpc::ServerUnaryReactor* EstimateCost(grpc::CallbackServerContext* ctx, const v1::EstimateCostRequest* rq,
                                         v1::EstimateCostResponse* rs) override;
  grpc::ServerUnaryReactor* Detect(grpc::CallbackServerContext* ctx, const v1::DetectRequest* rq, v1::DetectResponse* rs) override;
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* ctx, const v1::ScoreRequest* rq, v1::ScoreResponse* rs) override;
  grpc::ServerBidiReactor<v1::ScoreStreamRequest, v1::ScoreStreamResponse>* ScoreStream(grpc::CallbackServerContext* ctx) override;

 private:
  /// The algorithm of a name like algorithms/{algorithm} in the request's `field`.
  absl::StatusOr<const outlier::Descriptor*> FindAlgorithm(std::string_view field, const std::string& name) const;
  /// The fact that "auto" chose, for the selection log. Errors: it could not be told.
  absl::Status TellSelection(const InlineOutcome& outcome, const runtime::CallContext& call);
  /// `series`: of the call that the request is one of, where it may be one of several.
  absl::Status ScoreOne(const std::string& model, const v1::ScoreRequest& request, v1::ScoreResponse* out,
                        runtime::CallContext& call, Series* series = nullptr);

  runtime::Server& server_;
  Engine& engine_;
  const outlier::Catalog& catalog_;
  runtime::Channels& channels_;
  const runtime::TokenFile& own_token_;
  messaging::Publisher& publisher_;
  llm::Assistant& assistant_;
  ThreadPool* pool_;
};

}  // namespace vedette::detector
