#include "services/explainer/adapters/sources.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "base/status.h"
#include "services/explainer/adapters/nearby.h"
#include "table/rows.h"
#include "vedette/features/v1/features.grpc.pb.h"
#include "vedette/modelcache/v1/model_cache.grpc.pb.h"
#include "vedette/triage/v1/triage.grpc.pb.h"
#include "wire/table_chunk.h"

namespace vedette::explainer {
namespace {

constexpr size_t kMaxModelBytes = size_t{4} << 30;

absl::StatusOr<Finding> ReadFinding(runtime::Channels& channels, const runtime::Outgoing& out, const std::string& id) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("triage"));
  const auto stub = triage::v1::TriageService::NewStub(channel);
  triage::v1::GetAnomalyRequest request;
  request.set_name("anomalies/" + id);
  ASSIGN_OR_RETURN(const triage::v1::Anomaly a,
                   runtime::Call(*stub, &triage::v1::TriageService::Stub::GetAnomaly, out, request));
  Finding f;
  f.anomaly_id = id;
  f.model = a.model();
  f.algorithm = a.detection_methods().empty() ? "" : a.detection_methods(0);
  f.dataset = a.dataset();
  f.row_index = a.row_index();
  f.entity = a.entity();
  f.metric = a.metric();
  f.threshold = a.threshold();
  f.detect_time = absl::FromUnixMicros(google::protobuf::util::TimeUtil::TimestampToMicroseconds(a.detect_time()));
  f.score.score = a.anomaly_score();
  f.score.probability = a.probability();
  f.score.confidence = a.confidence();
  f.score.anomaly = true;
  f.score.severity = static_cast<outlier::Severity>(std::clamp(static_cast<int>(a.severity()), 0, 4));
  return f;
}

struct Downloaded {
  std::shared_ptr<const explain::PreparedModel> model;
  std::string feature_set;
};

absl::StatusOr<Downloaded> Download(runtime::Channels& channels, const runtime::Outgoing& out,
                                    const outlier::Catalog& catalog, ModelCache& models, const std::string& tenant,
                                    const std::string& name) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("model-cache"));
  const auto stub = modelcache::v1::ModelCacheService::NewStub(channel);
  using Stub = modelcache::v1::ModelCacheService::Stub;
  modelcache::v1::GetModelRequest get;
  get.set_name(name);
  ASSIGN_OR_RETURN(const modelcache::v1::Model meta, runtime::Call(*stub, &Stub::GetModel, out, get));
  Downloaded result{.model = models.Find(tenant + "/" + name), .feature_set = meta.key().feature_set()};
  if (result.model != nullptr) return result;

  modelcache::v1::DownloadModelRequest request;
  request.set_name(name);
  std::string bytes;
  RETURN_IF_ERROR(runtime::CallStream(*stub, &Stub::DownloadModel, out, request,
                                      [&bytes](const modelcache::v1::DownloadModelResponse& part) -> absl::Status {
                                        if (bytes.size() + part.data().size() > kMaxModelBytes)
                                          return ResourceExhausted("the model is too large");
                                        bytes += part.data();
                                        return absl::OkStatus();
                                      }));
  ASSIGN_OR_RETURN(auto model, outlier::Model::Parse(catalog, bytes));
  result.model = std::make_shared<const explain::PreparedModel>(std::move(model));
  models.Insert(tenant + "/" + name, result.model);
  return result;
}

absl::StatusOr<ModelRow> ReadRow(runtime::Channels& channels, const runtime::Outgoing& out, const Finding& finding,
                                 Downloaded model) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("feature-engine"));
  const auto stub = features::v1::FeatureEngineService::NewStub(channel);
  features::v1::StreamFeaturesRequest request;
  request.set_feature_set(model.feature_set);
  request.set_dataset(finding.dataset);
  request.set_first_row(finding.row_index);
  request.set_row_count(1);
  request.set_include_table(true);
  ModelRow row{.model = std::move(model.model), .features = {}, .table = {}};
  const int64_t cols = static_cast<int64_t>(row.model->model().preparation().features().size());
  table::TableBuilder cells;  // of the history, which may come in pieces before the row, then its own
  RETURN_IF_ERROR(runtime::CallStream(
      *stub, &features::v1::FeatureEngineService::Stub::StreamFeatures, out, request,
      [&](const features::v1::StreamFeaturesResponse& part) -> absl::Status {
        if (part.rows().has_context()) {
          ASSIGN_OR_RETURN(const table::Table before, wire::FromProto(part.rows().context()));
          RETURN_IF_ERROR(cells.Append(before));
        }
        if (part.rows().row_index_size() == 0) return absl::OkStatus();
        if (part.rows().values_size() != cols) {
          return FailedPrecondition("the row has {} features, the model {}", part.rows().values_size(), cols);
        }
        row.features = Matrix(1, cols);
        std::copy(part.rows().values().begin(), part.rows().values().end(), row.features.data());
        ASSIGN_OR_RETURN(const table::Table own, wire::FromProto(part.rows().table()));
        if (own.rows() != 1) return absl::OkStatus();
        RETURN_IF_ERROR(cells.Append(own));
        row.table = cells.Take();
        return absl::OkStatus();
      }));
  if (row.features.rows() != 1 || row.table.rows() == 0) {
    return NotFound("row {} of {} cannot be read any more", finding.row_index, finding.dataset);
  }
  return row;
}

}  // namespace

Sources RemoteSources(runtime::Channels& channels, const outlier::Catalog& catalog, ModelCache& models,
                      TimelineCache& timelines, absl::Duration before, std::string tenant, runtime::Outgoing out) {
  Sources sources;
  sources.finding = [&channels, out](const std::string& id) { return ReadFinding(channels, out, id); };
  sources.row = [&channels, &catalog, &models, tenant, out](const Finding& finding) -> absl::StatusOr<ModelRow> {
    ASSIGN_OR_RETURN(Downloaded model, Download(channels, out, catalog, models, tenant, finding.model));
    return ReadRow(channels, out, finding, std::move(model));
  };
  sources.changes = [&channels, before, out](const Finding& finding) {
    return ReadChanges(channels, out, before, finding);
  };
  sources.peers = [&channels, out](const Finding& finding) { return ReadPeers(channels, out, finding); };
  sources.timeline = [&channels, &timelines, tenant = std::move(tenant),
                      out](const Finding& finding) -> absl::StatusOr<std::shared_ptr<const explain::Timeline>> {
    const std::string key = tenant + "/" + finding.dataset;
    if (auto known = timelines.Find(key)) return known;
    ASSIGN_OR_RETURN(auto timeline, ReadTimeline(channels, out, finding));
    if (timeline != nullptr) timelines.Insert(key, timeline);
    return timeline;
  };
  return sources;
}

}  // namespace vedette::explainer
