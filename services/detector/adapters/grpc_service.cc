#include "services/detector/adapters/grpc_service.h"

#include "base/hash.h"
#include "base/ids.h"
#include "base/status.h"
#include "runtime/status.h"
#include "services/detector/adapters/llm_reranker.h"
#include "services/detector/adapters/proto.h"
#include "services/detector/adapters/remote.h"
#include "vedette/events/v1/events.pb.h"
#include "wire/table_chunk.h"

namespace vedette::detector {
namespace {

using runtime::CallContext;
using GrpcContext = grpc::CallbackServerContext;

constexpr int kDefaultTopFeatures = 3;

int TopFeatures(int requested) { return requested > 0 ? requested : kDefaultTopFeatures; }

absl::StatusOr<table::Table> ReadTable(const common::v1::TableChunk& chunk) {
  ASSIGN_OR_RETURN(table::Table table, wire::FromProto(chunk));
  if (table.rows() == 0) return runtime::InvalidField("table", "has no rows");
  return table;
}

/// The same rows, however they were numbered or split, have the same hash.
std::string ContentHash(common::v1::TableChunk chunk) {
  chunk.set_first_row(0);
  return Sha256Hex(chunk.SerializeAsString());
}

}  // namespace

grpc::ServerUnaryReactor* DetectorGrpc::ListAlgorithms(GrpcContext* ctx, const v1::ListAlgorithmsRequest* rq, v1::ListAlgorithmsResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto&, auto* out, CallContext&) -> absl::Status {
    for (const outlier::Descriptor* d : catalog_.all()) ToProto(*d, out->add_algorithms());
    return absl::OkStatus();
  });
}

absl::StatusOr<const outlier::Descriptor*> DetectorGrpc::FindAlgorithm(std::string_view field, const std::string& name) const {
  constexpr std::string_view kPrefix = "algorithms/";
  if (!name.starts_with(kPrefix)) return runtime::InvalidField(field, "must be like algorithms/{algorithm}");
  return catalog_.Find(std::string_view(name).substr(kPrefix.size()));
}

grpc::ServerUnaryReactor* DetectorGrpc::GetAlgorithm(GrpcContext* ctx, const v1::GetAlgorithmRequest* rq, v1::Algorithm* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext&) -> absl::Status {
    ASSIGN_OR_RETURN(const outlier::Descriptor* d, FindAlgorithm("name", request.name()));
    ToProto(*d, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* DetectorGrpc::ListThresholdRules(GrpcContext* ctx, const v1::ListThresholdRulesRequest* rq,
                                                           v1::ListThresholdRulesResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [](const auto&, auto* out, CallContext&) -> absl::Status {
    for (const outlier::ThresholdDescriptor* rule : outlier::AllThresholds()) ToProto(*rule, out->add_rules());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* DetectorGrpc::EstimateCost(GrpcContext* ctx, const v1::EstimateCostRequest* rq, v1::EstimateCostResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext&) -> absl::Status {
    ASSIGN_OR_RETURN(const outlier::Descriptor* d, FindAlgorithm("algorithm", request.algorithm()));
    if (request.rows() < 1) return runtime::InvalidField("rows", "must be at least 1");
    if (request.features() < 1) return runtime::InvalidField("features", "must be at least 1");
    ASSIGN_OR_RETURN(const outlier::ParamSet params,
                     outlier::ParamSet::Make(d->params, {request.parameters().begin(), request.parameters().end()}));
    const outlier::Cost cost = d->cost(params, request.rows(), request.features());
    out->set_fit_seconds(cost.fit_seconds);
    out->set_score_rows_per_second(1 / cost.score_seconds_per_row);
    out->set_fit_bytes(cost.fit_bytes);
    out->set_model_bytes(cost.model_bytes);
    return absl::OkStatus();
  });
}

absl::Status DetectorGrpc::TellSelection(const InlineOutcome& outcome, const CallContext& call) {
  events::v1::ModelSelected selected;
  selected.set_tenant(call.tenant);
  selected.set_selection_id(NewUuidV7(absl::Now()));
  selected.set_model(outcome.name);
  selected.set_algorithm(std::string(outcome.model->descriptor().name));
  selected.set_reason(outcome.choice->selection.reason);
  selected.set_training_rows(outcome.model->training_rows());
  ToProto(*outcome.choice, selected.mutable_selection());
  messaging::CloudEvent event{.id = selected.selection_id(), .source = "vedette/detector", .type = "vedette.model.selected.v1",
                              .time = absl::Now(), .subject = {}, .tenant = call.tenant};
  event.data = selected.SerializeAsString();
  return publisher_.Publish("facts.model.selected", event, absl::Now() + absl::Seconds(5)).status();
}

grpc::ServerUnaryReactor* DetectorGrpc::Detect(GrpcContext* ctx, const v1::DetectRequest* rq, v1::DetectResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const table::Table table, ReadTable(request.table()));
    ASSIGN_OR_RETURN(const DetectorSpec spec, FromProto(request.detector()));
    // Models are trained in this service's own name: callers may use detectors without the right to write models.
    ASSIGN_OR_RETURN(runtime::Outgoing own, runtime::Outgoing::AsService(own_token_, call, absl::Minutes(5)));
    RemoteModels models(channels_, std::move(own));
    LlmReranker reranker(assistant_, call.tenant);
    ASSIGN_OR_RETURN(const InlineOutcome outcome,
                     engine_.Detect(table, ContentHash(request.table()), spec, TopFeatures(request.top_features()), FromProto(request.decision()),
                                    {.tenant = call.tenant, .models = &models, .reranker = reranker.IfOn()}, call.Compute(pool_, spec.seed)));
    out->set_algorithm(std::string(outcome.model->descriptor().name));
    if (outcome.choice) {
      RETURN_IF_ERROR(Annotate(TellSelection(outcome, call), "the selection log"));
      common::v1::ModelSelection selection;
      ToProto(*outcome.choice, &selection);
      out->set_selection_reason(outcome.choice->selection.reason);
      *out->mutable_picks() = selection.picks();
      out->set_review(selection.review());
    }
    out->set_threshold(outcome.model->scale().threshold());
    out->set_threshold_rule(outcome.model->scale().rule());
    out->set_contamination(outcome.model->scale().contamination());
    out->set_space(outcome.space);
    ToProto(outcome, out->mutable_rows());
    return absl::OkStatus();
  });
}

absl::Status DetectorGrpc::ScoreOne(const std::string& model, const v1::ScoreRequest& request, v1::ScoreResponse* out,
                                    CallContext& call, Series* series) {
  if (!model.starts_with("models/")) return runtime::InvalidField("model", "must be like models/{model}");
  ASSIGN_OR_RETURN(const table::Table table, ReadTable(request.table()));
  const int64_t context_rows = request.context_rows();
  if (context_rows < 0 || context_rows > table.rows()) {
    return runtime::InvalidField("context_rows", fmt::format("must be within 0 and the table's {} rows", table.rows()));
  }
  RemoteModels models(channels_, runtime::Outgoing::OnBehalfOf(call));
  ASSIGN_OR_RETURN(const InlineOutcome outcome,
                   engine_.ScoreTable(model, table, TopFeatures(request.top_features()), FromProto(request.decision()),
                                      {.tenant = call.tenant, .models = &models}, call.Compute(pool_), context_rows, series));
  out->set_threshold(outcome.model->scale().threshold());
  out->set_threshold_rule(outcome.model->scale().rule());
  out->set_contamination(outcome.model->scale().contamination());
  out->set_space(outcome.space);
  ToProto(outcome, out->mutable_rows());
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* DetectorGrpc::Score(GrpcContext* ctx, const v1::ScoreRequest* rq, v1::ScoreResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) {
    return ScoreOne(request.model(), request, out, call);
  });
}

grpc::ServerBidiReactor<v1::ScoreStreamRequest, v1::ScoreStreamResponse>* DetectorGrpc::ScoreStream(GrpcContext* ctx) {
  return runtime::BidiStream<v1::ScoreStreamRequest, v1::ScoreStreamResponse>(server_, ctx,
      [this](runtime::Reader<v1::ScoreStreamRequest>& reader, runtime::Writer<v1::ScoreStreamResponse>& writer, CallContext& call) -> absl::Status {
        v1::ScoreStreamRequest message;
        std::string model;
        Series series;
        while (reader.Read(&message)) {
          if (!message.request().model().empty()) model = message.request().model();
          v1::ScoreStreamResponse response;
          RETURN_IF_ERROR(ScoreOne(model, message.request(), response.mutable_response(), call, &series));
          if (!writer.Write(response)) break;
        }
        return absl::OkStatus();
      });
}

}  // namespace vedette::detector
