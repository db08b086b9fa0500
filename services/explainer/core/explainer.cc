#include "services/explainer/core/explainer.h"

#include "base/ids.h"
#include "base/status.h"

namespace vedette::explainer {
namespace {

StoredExplanation Build(const Finding& finding, const std::string& space, std::vector<outlier::FeatureContribution> features) {
  StoredExplanation stored;
  stored.anomaly_id = finding.anomaly_id;
  stored.id = DerivedUuid(fmt::format("{}/{}/{}", finding.anomaly_id, kNative, finding.model));
  stored.model = finding.model;
  stored.explanation = explain::Explain({.subject = fmt::format("Row {}", finding.row_index),
                                         .score = finding.score,
                                         .threshold = finding.threshold,
                                         .space = space,
                                         .features = std::move(features)});
  stored.explanation.method = kNative;
  return stored;
}

}  // namespace

StoredExplanation FromContributions(const Finding& finding, const std::string& space,
                                    std::vector<outlier::FeatureContribution> features) {
  return Build(finding, space, std::move(features));
}

absl::StatusOr<StoredExplanation> Explainer::Explain(const std::string& tenant, const std::string& anomaly_id,
                                                     const std::string& method, const Sources& sources,
                                                     const Context& ctx) {
  const std::string wanted = method.empty() ? kNative : method;
  if (wanted != kNative) return InvalidArgument("method: '{}' is not known here; native is", wanted);
  ASSIGN_OR_RETURN(const auto stored, store_->List(tenant, anomaly_id));
  for (const StoredExplanation& e : stored) {
    if (e.explanation.method == wanted) return e;
  }
  ASSIGN_OR_RETURN(const Finding finding, sources.finding(anomaly_id));
  ASSIGN_OR_RETURN(const ModelRow row, sources.row(finding));
  std::string space;
  ASSIGN_OR_RETURN(auto features, row.model->Explain(row.features.view(), ctx, &space, &row.table));
  StoredExplanation made = Build(finding, space, std::move(features[0]));
  RETURN_IF_ERROR(store_->Write(tenant, {made}));
  // Read back: somebody else may have stored one in the meantime, and the time of creation is the store's.
  ASSIGN_OR_RETURN(const auto all, store_->List(tenant, anomaly_id));
  for (const StoredExplanation& e : all) {
    if (e.id == made.id) return e;
  }
  return made;
}

}  // namespace vedette::explainer
