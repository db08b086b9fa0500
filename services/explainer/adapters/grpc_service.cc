#include "services/explainer/adapters/grpc_service.h"

#include "base/status.h"
#include "runtime/resource_name.h"
#include "services/explainer/adapters/proto.h"

namespace vedette::explainer {

grpc::ServerUnaryReactor* ExplainerGrpc::ExplainAnomaly(grpc::CallbackServerContext* ctx,
                                                        const v1::ExplainAnomalyRequest* rq, v1::Explanation* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, runtime::CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", request.anomaly()));
    ASSIGN_OR_RETURN(const StoredExplanation e,
                     explainer_.Explain(call.tenant, id, request.method(), sources_(call), call.Compute()));
    ToProto(e, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ExplainerGrpc::ListExplanations(grpc::CallbackServerContext* ctx,
                                                          const v1::ListExplanationsRequest* rq,
                                                          v1::ListExplanationsResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, runtime::CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", request.anomaly()));
    ASSIGN_OR_RETURN(const auto all, explainer_.List(call.tenant, id));
    for (const StoredExplanation& e : all) ToProto(e, out->add_explanations());
    return absl::OkStatus();
  });
}

}  // namespace vedette::explainer
