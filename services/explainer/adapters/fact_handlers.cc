#include "services/explainer/adapters/fact_handlers.h"

#include <limits>

#include "base/status.h"
#include "runtime/resource_name.h"
#include "services/explainer/adapters/proto.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::explainer {
namespace {

outlier::FeatureContribution FromProto(const common::v1::FeatureContribution& f) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  outlier::FeatureContribution out;
  out.feature = f.feature_name();
  out.contribution = f.contribution();
  out.share = f.share();
  out.actual = f.has_actual_number() ? f.actual_number() : kNone;
  out.expected = f.has_expected_number() ? f.expected_number() : kNone;
  out.actual_text = f.actual_value();
  out.expected_text = f.expected_value();
  return out;
}

absl::StatusOr<StoredExplanation> Build(const events::v1::AnomaliesDetected& event, const events::v1::DetectedAnomaly& d) {
  Finding finding{.anomaly_id = "", .model = event.model(), .dataset = event.dataset(), .row_index = d.row_index(), .threshold = event.threshold()};
  ASSIGN_OR_RETURN(finding.anomaly_id, runtime::UuidOf("anomaly", "anomalies", d.anomaly()));
  finding.score = {.score = d.score(), .probability = d.probability(), .confidence = d.confidence(), .anomaly = true,
                   .severity = static_cast<outlier::Severity>(d.severity())};
  std::vector<outlier::FeatureContribution> features;
  for (const auto& f : d.features()) features.push_back(FromProto(f));
  return FromContributions(finding, event.space(), std::move(features));
}

}  // namespace

messaging::Handler DetectedHandler(Explainer& explainer) {
  return [&explainer](const messaging::Message& message, std::stop_token) {
    const auto run = [&]() -> absl::Status {
      events::v1::AnomaliesDetected event;
      if (!event.ParseFromString(message.event.data)) return InvalidArgument("{} cannot be parsed", message.event.type);
      if (event.tenant().empty() || event.tenant() != message.event.tenant) {
        return InvalidArgument("the tenant of the message and of its header differ");
      }
      std::vector<StoredExplanation> all;
      for (const auto& d : event.anomalies()) {
        ASSIGN_OR_RETURN(StoredExplanation e, Build(event, d));
        all.push_back(std::move(e));
      }
      return explainer.Store(event.tenant(), all);
    };
    return messaging::Outcome::FromStatus(run(), message.deliveries);
  };
}

}  // namespace vedette::explainer
