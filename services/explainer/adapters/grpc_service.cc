#include "services/explainer/adapters/grpc_service.h"

#include "base/status.h"
#include "runtime/resource_name.h"
#include "runtime/status.h"
#include "services/explainer/adapters/proto.h"

namespace vedette::explainer {
namespace {

constexpr int kMaxBatch = 100;
constexpr int kMaxStream = 10000;

using Names = google::protobuf::RepeatedPtrField<std::string>;

/// The ids of `names`, all of them or what is wrong with the first that is none.
absl::StatusOr<std::vector<std::string>> IdsOf(const Names& names, int most) {
  if (names.empty() || names.size() > most)
    return runtime::InvalidField("anomalies", fmt::format("there must be 1 to {}", most));
  std::vector<std::string> ids;
  for (int i = 0; i < names.size(); ++i) {
    ASSIGN_OR_RETURN(std::string id, runtime::UuidOf(fmt::format("anomalies[{}]", i), "anomalies", names[i]));
    ids.push_back(std::move(id));
  }
  return ids;
}

template <typename Request>
absl::StatusOr<Ask> ReadAsk(const Request& request) {
  Ask ask = AskOf(request);
  ask.numbers_only = request.numbers_only();
  RETURN_IF_ERROR(Check(&ask));
  return ask;
}

}  // namespace

grpc::ServerUnaryReactor* ExplainerGrpc::ExplainAnomaly(grpc::CallbackServerContext* ctx,
                                                        const v1::ExplainAnomalyRequest* rq, v1::Explanation* rs) {
  return runtime::Unary(
      server_, ctx, rq, rs, [this](const auto& request, auto* out, runtime::CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", request.anomaly()));
        ASSIGN_OR_RETURN(const Ask ask, ReadAsk(request));
        const auto explain = request.asynchronous() ? &Explainer::ExplainLater : &Explainer::Explain;
        ASSIGN_OR_RETURN(const Answer answer,
                         (explainer_.*explain)(call.tenant, id, ask, sources_(call), call.Compute(pool_)));
        ToProto(answer, out);
        return absl::OkStatus();
      });
}

absl::Status ExplainerGrpc::ExplainAll(const std::vector<std::string>& ids, const Ask& ask, bool share,
                                       runtime::CallContext& call,
                                       const std::function<bool(v1::ExplanationResult&&)>& take) {
  for (size_t i = 0; i < ids.size(); ++i) {
    RETURN_IF_ERROR(call.Check());
    if (call.drain.stop_requested()) return absl::UnavailableError("the server is stopping; ask again for the rest");
    Context ctx = call.Compute(pool_);
    if (share) ctx.deadline = absl::Now() + (call.deadline - absl::Now()) / static_cast<int64_t>(ids.size() - i);
    const Sources sources = sources_(call);  // afresh: what it asks others has a deadline of its own
    const auto answer = explainer_.Explain(call.tenant, ids[i], ask, sources, ctx);
    v1::ExplanationResult result;
    result.set_anomaly("anomalies/" + ids[i]);
    if (answer.ok()) {
      ToProto(*answer, result.mutable_explanation());
    } else {
      const grpc::Status status = runtime::ToGrpcStatus(answer.status());  // hides what callers must not see
      result.mutable_error()->set_code(absl::StatusCodeToString(answer.status().code()));
      result.mutable_error()->set_message(status.error_message());
    }
    if (!take(std::move(result))) return absl::OkStatus();
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* ExplainerGrpc::BatchExplainAnomalies(grpc::CallbackServerContext* ctx,
                                                               const v1::BatchExplainAnomaliesRequest* rq,
                                                               v1::BatchExplainAnomaliesResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs,
                        [this](const auto& request, auto* out, runtime::CallContext& call) -> absl::Status {
                          ASSIGN_OR_RETURN(const auto ids, IdsOf(request.anomalies(), kMaxBatch));
                          ASSIGN_OR_RETURN(const Ask ask, ReadAsk(request));
                          return ExplainAll(ids, ask, true, call, [out](v1::ExplanationResult&& result) {
                            *out->add_results() = std::move(result);
                            return true;
                          });
                        });
}

grpc::ServerWriteReactor<v1::ExplanationResult>* ExplainerGrpc::StreamExplanations(
    grpc::CallbackServerContext* ctx, const v1::StreamExplanationsRequest* rq) {
  return runtime::ServerStream<v1::ExplanationResult>(
      server_, ctx, rq,
      [this](const v1::StreamExplanationsRequest& request, runtime::Writer<v1::ExplanationResult>& writer,
             runtime::CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const auto ids, IdsOf(request.anomalies(), kMaxStream));
        ASSIGN_OR_RETURN(const Ask ask, ReadAsk(request));
        return ExplainAll(ids, ask, false, call,
                          [&writer](v1::ExplanationResult&& result) { return writer.Write(result); });
      });
}

grpc::ServerUnaryReactor* ExplainerGrpc::ListExplanations(grpc::CallbackServerContext* ctx,
                                                          const v1::ListExplanationsRequest* rq,
                                                          v1::ListExplanationsResponse* rs) {
  return runtime::Unary(
      server_, ctx, rq, rs, [this](const auto& request, auto* out, runtime::CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", request.anomaly()));
        ASSIGN_OR_RETURN(const auto all, explainer_.List(call.tenant, id));
        for (const StoredExplanation& e : all) ToProto(e, out->add_explanations());
        return absl::OkStatus();
      });
}

}  // namespace vedette::explainer
