#pragma once

#include "runtime/server.h"
#include "services/triage/core/triager.h"
#include "services/triage/ports/anomaly_store.h"
#include "vedette/triage/v1/triage.grpc.pb.h"

namespace vedette::triage {

class TriageGrpc final : public v1::TriageService::CallbackService {
 public:
  TriageGrpc(runtime::Server& server, AnomalyStore& store, Triager& triager) : server_(server), store_(store), triager_(triager) {}

  grpc::ServerUnaryReactor* GetAnomaly(grpc::CallbackServerContext* ctx, const v1::GetAnomalyRequest* rq,
                                       v1::Anomaly* rs) override;
  grpc::ServerUnaryReactor* ListAnomalies(grpc::CallbackServerContext* ctx, const v1::ListAnomaliesRequest* rq,
                                          v1::ListAnomaliesResponse* rs) override;
  grpc::ServerUnaryReactor* UpdateAnomalyStatus(grpc::CallbackServerContext* ctx,
                                                const v1::UpdateAnomalyStatusRequest* rq, v1::Anomaly* rs) override;
  grpc::ServerUnaryReactor* GetAnomalyStatistics(grpc::CallbackServerContext* ctx,
                                                 const v1::GetAnomalyStatisticsRequest* rq,
                                                 v1::AnomalyStatistics* rs) override;
  grpc::ServerUnaryReactor* TriageAnomaly(grpc::CallbackServerContext* ctx, const v1::TriageAnomalyRequest* rq,
                                          v1::TriageVerdict* rs) override;
  grpc::ServerUnaryReactor* CreateFeedback(grpc::CallbackServerContext* ctx, const v1::CreateFeedbackRequest* rq,
                                           v1::Feedback* rs) override;
  grpc::ServerUnaryReactor* ListFeedback(grpc::CallbackServerContext* ctx, const v1::ListFeedbackRequest* rq,
                                         v1::ListFeedbackResponse* rs) override;

 private:
  runtime::Server& server_;
  AnomalyStore& store_;
  Triager& triager_;
};

}  // namespace vedette::triage
