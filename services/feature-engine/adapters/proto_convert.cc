#include "services/feature-engine/adapters/proto_convert.h"

#include <fmt/format.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status.h"
#include "runtime/status.h"
#include "wire/table_chunk.h"

namespace vedette::feature_engine {
namespace {

constexpr size_t kMaxTableColumns = 1000;

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !IsHex(text[i])) return false;
  }
  return true;
}

bool IsChosenId(std::string_view id) {
  const auto alnum = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !id.empty() && id.size() <= 128 && alnum(id.front()) && std::all_of(id.begin(), id.end(), [&](char c) {
    return alnum(c) || c == '.' || c == '_' || c == ':' || c == '-';
  });
}

/// The part after "<collection>/", or empty.
std::string_view After(std::string_view name, std::string_view collection) {
  if (name.size() <= collection.size() || name.substr(0, collection.size()) != collection) return {};
  return name[collection.size()] == '/' ? name.substr(collection.size() + 1) : std::string_view();
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

}  // namespace

absl::StatusOr<std::string> DatasetId(std::string_view name, std::string_view field) {
  if (const std::string_view id = After(name, "datasets"); IsUuid(id)) return std::string(id);
  return runtime::InvalidField(field, "must be datasets/{dataset}, with the id that UploadDataset gave");
}

absl::StatusOr<std::string> FeatureSetIdOf(std::string_view name, std::string_view field) {
  const std::string_view id = After(name, "featureSets");
  if (id.size() == 32 && std::all_of(id.begin(), id.end(), IsHex)) return std::string(id);
  return runtime::InvalidField(field, "must be featureSets/{feature_set}, with the id that CreateFeatureSet gave");
}

absl::StatusOr<std::string> BaselineId(std::string_view name) {
  if (const std::string_view id = After(name, "baselines"); IsUuid(id)) return std::string(id);
  return runtime::InvalidField("name", "must be baselines/{baseline}, with the id that CreateBaseline gave");
}

absl::StatusOr<FeatureQuery> FromProto(const features::v1::StreamFeaturesRequest& request) {
  FeatureQuery query{.first_row = request.first_row(),
                     .row_count = request.row_count(),
                     .sample_rows = request.sample_rows(),
                     .seed = request.seed(),
                     .include_table = request.include_table(),
                     .table_columns = {request.table_columns().begin(), request.table_columns().end()}};
  if (query.table_columns.size() > kMaxTableColumns) {
    return runtime::InvalidField("table_columns", fmt::format("there may be at most {}", kMaxTableColumns));
  }
  ASSIGN_OR_RETURN(query.feature_set, FeatureSetIdOf(request.feature_set(), "feature_set"));
  if (!request.dataset().empty()) {
    ASSIGN_OR_RETURN(query.dataset, DatasetId(request.dataset(), "dataset"));
  }
  return query;
}

absl::StatusOr<Baseline> FromProto(const features::v1::CreateBaselineRequest& request) {
  Baseline wanted{.scope = request.scope(), .metric = request.metric()};
  std::vector<runtime::FieldViolation> wrong;
  const bool entity = IsChosenId(After(request.scope(), "entities"));
  if (!entity && !IsUuid(After(request.scope(), "datasets"))) {
    wrong.push_back({"scope", "must be datasets/{dataset} or entities/{entity}"});
  }
  if (request.metric().empty()) wrong.push_back({"metric", "is required"});
  if (entity && !IsChosenId(After(request.metric(), "metrics"))) {
    wrong.push_back({"metric", "must be metrics/{metric} where the scope is an entity"});
  }
  if (request.has_valid_from()) wanted.valid_from = FromProto(request.valid_from());
  if (request.has_valid_to()) wanted.valid_to = FromProto(request.valid_to());
  if (wanted.valid_to <= wanted.valid_from) wrong.push_back({"valid_to", "must be after valid_from"});
  if (!request.request_id().empty() && !IsUuid(request.request_id())) {
    wrong.push_back({"request_id", "must be a UUID in lower case"});
  }
  RETURN_IF_ERROR(runtime::InvalidFields(wrong));
  return wanted;
}

absl::StatusOr<table::ColumnType> FromProto(common::v1::ColumnType type) {
  switch (type) {
    case common::v1::COLUMN_TYPE_NUMERIC:
      return table::ColumnType::kNumeric;
    case common::v1::COLUMN_TYPE_CATEGORICAL:
      return table::ColumnType::kCategorical;
    case common::v1::COLUMN_TYPE_TIMESTAMP:
      return table::ColumnType::kTimestamp;
    default:
      return DataLoss("column type {} is not known", static_cast<int>(type));
  }
}

void ToProto(absl::Time time, google::protobuf::Timestamp* out) {
  const absl::Duration since = time - absl::UnixEpoch();
  absl::Duration rest;
  const int64_t seconds = absl::IDivDuration(since, absl::Seconds(1), &rest);
  const bool before = rest < absl::ZeroDuration();
  out->set_seconds(before ? seconds - 1 : seconds);
  out->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(before ? rest + absl::Seconds(1) : rest)));
}

void ToProto(const FeatureSet& feature_set, features::v1::FeatureSet* out) {
  out->set_name("featureSets/" + feature_set.id);
  out->set_dataset("datasets/" + feature_set.dataset);
  common::v1::PrepareOptions* options = out->mutable_options();
  for (const std::string& name : feature_set.options.ignore_columns) options->add_ignore_columns(name);
  options->set_imputation(std::string(Name(feature_set.options.imputation)));
  options->set_encoding(std::string(Name(feature_set.options.encoding)));
  options->set_scaling(std::string(Name(feature_set.options.scaling)));
  options->set_window(feature_set.options.window);
  for (const std::string& name : feature_set.features) out->add_features(name);
  for (const std::string& note : feature_set.notes) out->add_notes(note);
  ToProto(feature_set.create_time, out->mutable_create_time());
  out->set_version(feature_set.version);
}

void ToProto(const DataProfile& profile, features::v1::DataProfile* out) {
  out->set_rows(profile.rows);
  out->set_features(profile.features);
  out->set_missing_share(profile.missing_share);
  out->set_categorical_share(profile.categorical_share);
  out->set_median_abs_skewness(profile.median_abs_skewness);
  out->set_median_kurtosis(profile.median_kurtosis);
  out->set_mean_abs_correlation(profile.mean_abs_correlation);
  out->set_outlier_share(profile.outlier_share);
}

void ToProto(const Baseline& baseline, features::v1::Baseline* out) {
  out->set_name("baselines/" + baseline.id);
  out->set_scope(baseline.scope);
  out->set_metric(baseline.metric);
  out->set_count(baseline.count);
  out->set_mean(baseline.mean);
  out->set_standard_deviation(baseline.standard_deviation);
  out->set_median(baseline.median);
  out->set_median_absolute_deviation(baseline.median_absolute_deviation);
  out->set_minimum(baseline.minimum);
  out->set_maximum(baseline.maximum);
  out->set_percentile_5(baseline.percentile_5);
  out->set_percentile_95(baseline.percentile_95);
  if (baseline.valid_from != absl::InfinitePast()) ToProto(baseline.valid_from, out->mutable_valid_from());
  if (baseline.valid_to != absl::InfiniteFuture()) ToProto(baseline.valid_to, out->mutable_valid_to());
  ToProto(baseline.create_time, out->mutable_create_time());
}

void ToProto(const FeatureHeader& header, features::v1::StreamFeaturesResponse* out) {
  features::v1::StreamFeaturesResponse::Header* h = out->mutable_header();
  h->set_feature_set("featureSets/" + header.feature_set);
  h->set_dataset_rows(header.dataset_rows);
  h->set_cols(header.cols);
  h->set_preparation(header.preparation);
}

void ToProto(const FeatureRows& rows, features::v1::StreamFeaturesResponse* out) {
  features::v1::StreamFeaturesResponse::Rows* r = out->mutable_rows();
  r->mutable_row_index()->Assign(rows.row_index.begin(), rows.row_index.end());
  const double* values = rows.values.data();
  r->mutable_values()->Assign(values, values + rows.values.rows() * rows.values.cols());
  // first_row is that of the first row here; with a sample, row_index tells all of them.
  if (rows.table) wire::ToProto(rows.row_index.front(), *rows.table, r->mutable_table());
  if (rows.context) wire::ToProto(rows.context_first, *rows.context, r->mutable_context());
}

}  // namespace vedette::feature_engine
