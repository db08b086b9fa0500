#include "services/ingest/adapters/proto_convert.h"

#include <fmt/format.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/json_util.h>

#include <utility>

#include "base/status.h"
#include "runtime/paging.h"
#include "runtime/status.h"
#include "wire/table_chunk.h"

namespace vedette::ingest {
namespace {

void ToProto(absl::Time time, google::protobuf::Timestamp* out) {
  const int64_t micros = absl::ToUnixMicros(time);
  const int64_t seconds = micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0);
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(micros - seconds * 1'000'000) * 1000);
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string ToJson(const google::protobuf::Struct& value) {
  std::string json;
  return google::protobuf::util::MessageToJsonString(value, &json).ok() ? json : "{}";
}

void FromJson(const std::string& json, google::protobuf::Struct* out) {
  if (!google::protobuf::util::JsonStringToMessage(json, out).ok()) out->Clear();
}

}  // namespace

absl::StatusOr<std::string> DatasetId(std::string_view name, std::string_view field) {
  constexpr std::string_view kPrefix = "datasets/";
  if (name.substr(0, kPrefix.size()) == kPrefix && IsUuid(name.substr(kPrefix.size()))) {
    return std::string(name.substr(kPrefix.size()));
  }
  return runtime::InvalidField(field, "must be datasets/{dataset}, with the id that UploadDataset gave");
}

absl::StatusOr<std::string> ChosenId(std::string_view name, std::string_view collection, std::string_view field) {
  const size_t slash = name.find('/');
  if (slash != std::string_view::npos && name.substr(0, slash) == collection && IsResourceId(name.substr(slash + 1))) {
    return std::string(name.substr(slash + 1));
  }
  return runtime::InvalidField(field, fmt::format("must be {}/{{id}}", collection));
}

absl::Status ToStatus(const std::vector<Violation>& violations) {
  std::vector<runtime::FieldViolation> fields;
  fields.reserve(violations.size());
  for (const Violation& v : violations) fields.push_back({v.field, v.description});
  return runtime::InvalidFields(fields);
}

absl::StatusOr<UploadRequest> FromProto(const v1::UploadDatasetRequest::Metadata& metadata) {
  std::vector<Violation> violations;
  CheckUpload(metadata.display_name(), metadata.request_id(), metadata.format(), metadata.delimiter(), violations);
  RETURN_IF_ERROR(ToStatus(violations));
  return UploadRequest{.display_name = metadata.display_name(),
                       .request_id = metadata.request_id(),
                       .delimiter = metadata.delimiter().empty() ? '\0' : metadata.delimiter().front()};
}

absl::StatusOr<Tenant> FromProto(const v1::CreateTenantRequest& request) {
  Tenant tenant{.id = request.tenant_id(),
                .display_name = request.tenant().display_name(),
                .tier = request.tenant().tier().empty() ? "standard" : request.tenant().tier()};
  std::vector<Violation> violations;
  CheckTenant(tenant, violations);
  RETURN_IF_ERROR(ToStatus(violations));
  return tenant;
}

absl::StatusOr<Entity> FromProto(const v1::CreateEntityRequest& request) {
  const v1::Entity& e = request.entity();
  Entity entity{.id = request.entity_id(),
                .kind = e.kind(),
                .display_name = e.display_name(),
                .external_id = e.external_id(),
                .peer_group = e.peer_group(),
                .attributes_json = ToJson(e.attributes())};
  std::vector<Violation> violations;
  CheckEntity(entity, violations);
  RETURN_IF_ERROR(ToStatus(violations));
  return entity;
}

absl::StatusOr<Metric> FromProto(const v1::CreateMetricRequest& request) {
  const v1::Metric& m = request.metric();
  Metric metric{.id = request.metric_id(),
                .display_name = m.display_name(),
                .category = m.category(),
                .unit = m.unit(),
                .direction = static_cast<Direction>(m.direction())};
  std::vector<Violation> violations;
  CheckMetric(metric, violations);
  if (!v1::Metric::Direction_IsValid(m.direction())) violations.push_back({"metric.direction", "is not known"});
  RETURN_IF_ERROR(ToStatus(violations));
  return metric;
}

absl::StatusOr<ChangeEvent> FromProto(const v1::CreateChangeEventRequest& request) {
  const v1::ChangeEvent& c = request.change_event();
  ChangeEvent event{.kind = c.kind(),
                    .title = c.title(),
                    .event_time = FromProto(c.event_time()),
                    .details_json = ToJson(c.details())};
  if (!c.entity().empty()) {
    ASSIGN_OR_RETURN(event.entity, ChosenId(c.entity(), "entities", "change_event.entity"));
  }
  std::vector<Violation> violations;
  CheckChangeEvent(event, violations);
  if (!c.has_event_time()) violations.push_back({"change_event.event_time", "is required"});
  if (!request.request_id().empty() && !IsUuid(request.request_id()))
    violations.push_back({"request_id", "must be a UUID"});
  RETURN_IF_ERROR(ToStatus(violations));
  return event;
}

absl::StatusOr<ObservationBatch> FromProto(const v1::WriteObservationsRequest& request, absl::Time first,
                                           absl::Time last) {
  ObservationBatch batch;
  for (int i = 0; i < request.entities_size(); ++i) {
    ASSIGN_OR_RETURN(std::string id, ChosenId(request.entities(i), "entities", fmt::format("entities[{}]", i)));
    batch.entities.push_back(std::move(id));
  }
  for (int i = 0; i < request.metrics_size(); ++i) {
    ASSIGN_OR_RETURN(std::string id, ChosenId(request.metrics(i), "metrics", fmt::format("metrics[{}]", i)));
    batch.metrics.push_back(std::move(id));
  }
  batch.entity_index.assign(request.entity_index().begin(), request.entity_index().end());
  batch.metric_index.assign(request.metric_index().begin(), request.metric_index().end());
  batch.time_micros.assign(request.time_micros().begin(), request.time_micros().end());
  batch.values.assign(request.values().begin(), request.values().end());
  std::vector<Violation> violations;
  CheckObservations(batch, first, last, violations);
  RETURN_IF_ERROR(ToStatus(violations));
  return batch;
}

absl::StatusOr<SeriesQuery> FromProto(const v1::ListObservationsRequest& request) {
  SeriesQuery query;
  ASSIGN_OR_RETURN(query.entity, ChosenId(request.entity(), "entities", "entity"));
  ASSIGN_OR_RETURN(query.metric, ChosenId(request.metric(), "metrics", "metric"));
  if (request.has_start_time()) query.start = FromProto(request.start_time());
  if (request.has_end_time()) query.end = FromProto(request.end_time());
  ASSIGN_OR_RETURN(query.page_size, runtime::PageSize(request.page_size(), 1000, 100'000));
  query.page_token = request.page_token();
  return query;
}

void ToProto(const Dataset& dataset, v1::Dataset* out) {
  out->set_name("datasets/" + dataset.id);
  out->set_display_name(dataset.display_name);
  out->set_state(dataset.state == DatasetState::kReady    ? v1::Dataset::READY
                 : dataset.state == DatasetState::kFailed ? v1::Dataset::FAILED
                                                          : v1::Dataset::UPLOADING);
  out->set_row_count(dataset.row_count);
  for (const table::ColumnSchema& column : dataset.columns) {
    common::v1::ColumnSchema* c = out->add_columns();
    c->set_name(column.name);
    c->set_type(wire::ToProto(column.type));
  }
  out->set_size_bytes(dataset.size_bytes);
  out->set_bad_cell_count(dataset.bad_cell_count);
  for (const table::BadCell& cell : dataset.bad_cells) {
    v1::BadCell* c = out->add_bad_cells();
    c->set_line(cell.line);
    c->set_row_index(cell.row);
    c->set_column(cell.column);
    c->set_text(cell.text);
    c->set_reason(cell.reason);
  }
  for (const std::string& note : dataset.notes) out->add_notes(note);
  out->set_error(dataset.error);
  ToProto(dataset.create_time, out->mutable_create_time());
  out->set_sha256(dataset.sha256);
}

void ToProto(const Tenant& tenant, v1::Tenant* out) {
  out->set_name("tenants/" + tenant.id);
  out->set_display_name(tenant.display_name);
  out->set_tier(tenant.tier);
  ToProto(tenant.create_time, out->mutable_create_time());
}

void ToProto(const Entity& entity, v1::Entity* out) {
  out->set_name("entities/" + entity.id);
  out->set_kind(entity.kind);
  out->set_display_name(entity.display_name);
  out->set_external_id(entity.external_id);
  out->set_peer_group(entity.peer_group);
  FromJson(entity.attributes_json, out->mutable_attributes());
  ToProto(entity.create_time, out->mutable_create_time());
}

void ToProto(const Metric& metric, v1::Metric* out) {
  out->set_name("metrics/" + metric.id);
  out->set_display_name(metric.display_name);
  out->set_category(metric.category);
  out->set_unit(metric.unit);
  out->set_standard(metric.standard);
  out->set_direction(static_cast<v1::Metric::Direction>(metric.direction));
}

void ToProto(const ChangeEvent& event, v1::ChangeEvent* out) {
  out->set_name("changeEvents/" + event.id);
  out->set_kind(event.kind);
  out->set_title(event.title);
  if (!event.entity.empty()) out->set_entity("entities/" + event.entity);
  ToProto(event.event_time, out->mutable_event_time());
  FromJson(event.details_json, out->mutable_details());
}

}  // namespace vedette::ingest
