#include "services/explainer/adapters/fact_handlers.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <limits>

#include "base/status.h"
#include "runtime/resource_name.h"
#include "services/explainer/adapters/proto.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::explainer {
namespace {

absl::Time TimeOf(const google::protobuf::Timestamp& t) {
  return absl::FromUnixMicros(google::protobuf::util::TimeUtil::TimestampToMicroseconds(t));
}

template <typename Event>
absl::StatusOr<Event> Parse(const messaging::Message& message) {
  Event event;
  if (!event.ParseFromString(message.event.data)) return InvalidArgument("{} cannot be parsed", message.event.type);
  if (event.tenant().empty() || event.tenant() != message.event.tenant) {
    return InvalidArgument("the tenant of the message and of its header differ");
  }
  return event;
}

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
  if (f.has_percentile()) out.percentile = f.percentile();
  if (f.has_high_contribution()) out.high = f.high_contribution();
  if (f.has_low_contribution()) out.low = f.low_contribution();
  out.lag = std::clamp(f.lag(), 0, table::kMaxWindow);
  return out;
}

absl::StatusOr<Finding> FindingOf(const events::v1::AnomaliesDetected& event, const events::v1::DetectedAnomaly& d) {
  Finding finding;
  ASSIGN_OR_RETURN(finding.anomaly_id, runtime::UuidOf("anomaly", "anomalies", d.anomaly()));
  finding.model = event.model();
  finding.algorithm = event.algorithm();
  finding.dataset = event.dataset();
  finding.row_index = d.row_index();
  finding.entity = d.entity();
  finding.metric = d.metric();
  finding.score = {.score = d.score(),
                   .probability = d.probability(),
                   .confidence = d.confidence(),
                   .anomaly = true,
                   .severity = static_cast<outlier::Severity>(std::clamp(static_cast<int>(d.severity()), 0, 4))};
  finding.threshold = event.threshold();
  finding.detect_time = TimeOf(event.detect_time());
  if (d.has_event_time()) finding.event_time = TimeOf(d.event_time());
  return finding;
}

absl::Status Take(Explainer& explainer, const messaging::Message& message) {
  ASSIGN_OR_RETURN(const auto event, Parse<events::v1::AnomaliesDetected>(message));
  std::vector<Finding> findings;
  std::vector<StoredExplanation> explanations;
  for (const auto& d : event.anomalies()) {
    ASSIGN_OR_RETURN(Finding finding, FindingOf(event, d));
    std::vector<outlier::FeatureContribution> features;
    for (const auto& f : d.features()) features.push_back(FromProto(f));
    explanations.push_back(FromContributions(&finding, event.space(), std::move(features), d.feature_count()));
    findings.push_back(std::move(finding));
  }
  return explainer.Take(event.tenant(), findings, explanations);
}

absl::Status Take(Explainer& explainer, const events::v1::FeedbackGiven& event) {
  Outcome outcome{.anomaly_id = {},
                  .verdict = event.verdict(),
                  .confidence = event.confidence(),
                  .feedback = event.feedback(),
                  .time = TimeOf(event.create_time())};
  ASSIGN_OR_RETURN(outcome.anomaly_id, runtime::UuidOf("anomaly", "anomalies", event.anomaly()));
  if (!(outcome.confidence >= 0 && outcome.confidence <= 1))
    return InvalidArgument("confidence {} is not within 0-1", outcome.confidence);
  for (const char* known : {"CONFIRMED", "FALSE_ALARM", "EXPECTED", "NEW_TREND"}) {
    if (outcome.verdict == known) return explainer.SetOutcome(event.tenant(), outcome);
  }
  return InvalidArgument("verdict '{}' is not known", outcome.verdict);
}

}  // namespace

messaging::Handler DetectedHandler(Explainer& explainer) {
  return [&explainer](const messaging::Message& message, std::stop_token) {
    return messaging::Outcome::FromStatus(Take(explainer, message), message.deliveries);
  };
}

messaging::Handler FeedbackHandler(Explainer& explainer) {
  return [&explainer](const messaging::Message& message, std::stop_token) {
    const auto event = Parse<events::v1::FeedbackGiven>(message);
    return messaging::Outcome::FromStatus(event.ok() ? Take(explainer, *event) : event.status(), message.deliveries);
  };
}

}  // namespace vedette::explainer
