#include "services/triage/adapters/grpc_service.h"

#include <array>

#include "base/status.h"
#include "runtime/resource_name.h"
#include "runtime/filter.h"
#include "runtime/paging.h"
#include "runtime/status.h"
#include "services/triage/adapters/proto.h"

namespace vedette::triage {
namespace {

using runtime::CallContext;
using GrpcContext = grpc::CallbackServerContext;

/// A thousand anomalies with every feature would be a very large answer.
constexpr int kListedFeatures = 5;

const runtime::FilterSchema& AnomalyFilter() {
  using Type = runtime::FilterField::Type;
  static const runtime::FilterSchema schema{
      .fields = {{.name = "job", .sql = "job"},
                 {.name = "dataset", .sql = "dataset"},
                 {.name = "severity", .sql = "severity", .type = Type::kEnum, .values = {"LOW", "MEDIUM", "HIGH", "CRITICAL"}, .sql_values = {"1", "2", "3", "4"}},
                 {.name = "status", .sql = "status", .type = Type::kEnum, .values = {"OPEN", "ACKNOWLEDGED", "RESOLVED", "DISMISSED"}},
                 {.name = "opinion", .sql = "triage_verdict->>'opinion'", .type = Type::kEnum, .values = {"INCONCLUSIVE", "LIKELY_TRUE", "LIKELY_FALSE"}},
                 {.name = "anomaly_score", .sql = "anomaly_score", .type = Type::kNumber},
                 {.name = "probability", .sql = "probability", .type = Type::kNumber},
                 {.name = "row_index", .sql = "row_index", .type = Type::kInteger},
                 {.name = "entity", .sql = "entity"},
                 {.name = "metric", .sql = "metric"},
                 {.name = "detect_time", .sql = "detect_time", .type = Type::kTimestamp},
                 {.name = "create_time", .sql = "create_time", .type = Type::kTimestamp},
                 {.name = "metadata", .sql = "metadata", .type = Type::kJson},
                 {.name = "detection_methods", .sql = "detection_methods", .type = Type::kStringArray}},
      .search_sql = {"summary"}};
  return schema;
}

constexpr std::array<runtime::OrderField, 4> kOrderFields = {{{"create_time", "create_time"},
                                                              {"anomaly_score", "anomaly_score"},
                                                              {"severity", "severity"},
                                                              {"row_index", "row_index"}}};

absl::Status Filter(const std::string& text, Listing* listing) {
  ASSIGN_OR_RETURN(runtime::SqlFilter sql, runtime::FilterToSql(text, AnomalyFilter()));
  listing->where = std::move(sql.where);
  listing->params = std::move(sql.params);
  return absl::OkStatus();
}

absl::StatusOr<Listing> ReadListing(const v1::ListAnomaliesRequest& request) {
  Listing listing;
  ASSIGN_OR_RETURN(listing.limit, runtime::PageSize(request.page_size()));
  RETURN_IF_ERROR(Filter(request.filter(), &listing));
  ASSIGN_OR_RETURN(const auto terms, runtime::ParseOrderBy(request.order_by(), kOrderFields));
  for (const runtime::OrderTerm& t : terms) listing.order.push_back({std::string(t.field->sql), t.descending});
  if (listing.order.empty()) listing.order = {{"create_time", true}, {"anomaly_score", true}};
  ASSIGN_OR_RETURN(listing.cursor, runtime::DecodePageToken(request.page_token(), runtime::RequestFingerprint(request),
                                                            listing.order.size() + 1));
  return listing;
}

}  // namespace

grpc::ServerUnaryReactor* TriageGrpc::GetAnomaly(GrpcContext* ctx, const v1::GetAnomalyRequest* rq, v1::Anomaly* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("name", "anomalies", request.name()));
    ASSIGN_OR_RETURN(const Anomaly anomaly, store_.Get(call.tenant, id));
    ToProto(anomaly, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TriageGrpc::ListAnomalies(GrpcContext* ctx, const v1::ListAnomaliesRequest* rq,
                                                    v1::ListAnomaliesResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const Listing listing, ReadListing(request));
    ASSIGN_OR_RETURN(const Page page, store_.List(call.tenant, listing));
    for (const Anomaly& a : page.anomalies) {
      v1::Anomaly* anomaly = out->add_anomalies();
      ToProto(a, anomaly);
      auto* features = anomaly->mutable_anomalous_features();
      if (features->size() > kListedFeatures)
        features->DeleteSubrange(kListedFeatures, features->size() - kListedFeatures);
    }
    if (!page.next_cursor.empty()) {
      out->set_next_page_token(runtime::EncodePageToken(page.next_cursor, runtime::RequestFingerprint(request)));
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TriageGrpc::UpdateAnomalyStatus(GrpcContext* ctx, const v1::UpdateAnomalyStatusRequest* rq,
                                                          v1::Anomaly* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("name", "anomalies", request.name()));
    if (request.status() < v1::Anomaly::OPEN || request.status() > v1::Anomaly::DISMISSED) {
      return runtime::InvalidField("status", "must be OPEN, ACKNOWLEDGED, RESOLVED or DISMISSED");
    }
    ASSIGN_OR_RETURN(const Anomaly anomaly, store_.SetStatus(call.tenant, id, static_cast<Status>(request.status() - 1)));
    ToProto(anomaly, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TriageGrpc::GetAnomalyStatistics(GrpcContext* ctx, const v1::GetAnomalyStatisticsRequest* rq,
                                                           v1::AnomalyStatistics* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    Listing listing;
    RETURN_IF_ERROR(Filter(request.filter(), &listing));
    ASSIGN_OR_RETURN(const Statistics stats, store_.Count(call.tenant, listing));
    out->set_total(stats.total);
    for (const auto& [severity, n] : stats.by_severity) {
      (*out->mutable_by_severity())[common::v1::Severity_Name(static_cast<common::v1::Severity>(severity))] = n;
    }
    out->mutable_by_status()->insert(stats.by_status.begin(), stats.by_status.end());
    out->mutable_by_method()->insert(stats.by_method.begin(), stats.by_method.end());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TriageGrpc::TriageAnomaly(GrpcContext* ctx, const v1::TriageAnomalyRequest* rq, v1::TriageVerdict* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", request.anomaly()));
    ASSIGN_OR_RETURN(const TriageVerdict verdict, triager_.Triage(call.tenant, id, request.refresh(), call.deadline, call.stop));
    ToProto(verdict, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TriageGrpc::CreateFeedback(GrpcContext* ctx, const v1::CreateFeedbackRequest* rq, v1::Feedback* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", request.anomaly()));
    ASSIGN_OR_RETURN(const Feedback feedback, FromProto(request.feedback(), call.identity.subject));
    ASSIGN_OR_RETURN(const Feedback stored, store_.AddFeedback(call.tenant, id, feedback, request.request_id()));
    ToProto(id, stored, out);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TriageGrpc::ListFeedback(GrpcContext* ctx, const v1::ListFeedbackRequest* rq,
                                                   v1::ListFeedbackResponse* rs) {
  return runtime::Unary(server_, ctx, rq, rs, [this](const auto& request, auto* out, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(const std::string id, runtime::UuidOf("anomaly", "anomalies", request.anomaly()));
    RETURN_IF_ERROR(store_.Get(call.tenant, id).status());
    ASSIGN_OR_RETURN(const std::vector<Feedback> all, store_.ListFeedback(call.tenant, id));
    for (const Feedback& f : all) ToProto(id, f, out->add_feedback());
    return absl::OkStatus();
  });
}

}  // namespace vedette::triage
