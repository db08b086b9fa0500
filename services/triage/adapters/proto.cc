#include "services/triage/adapters/proto.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "runtime/resource_name.h"
#include "runtime/status.h"

namespace vedette::triage {
namespace {

constexpr size_t kMaxComment = 4000;
constexpr size_t kMaxContext = 64 << 10;

google::protobuf::Timestamp Stamp(absl::Time t) {
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(t));
}

void ParseStruct(const std::string& json, google::protobuf::Struct* out) {
  if (json != "{}") (void)google::protobuf::util::JsonStringToMessage(json, out);
}

Feature FromProto(const common::v1::FeatureContribution& f) {
  Feature out{.name = f.feature_name(),
              .lag = std::max(0, f.lag()),
              .contribution = f.contribution(),
              .share = f.share(),
              .actual = f.actual_value(),
              .expected = f.expected_value()};
  if (f.has_actual_number() && std::isfinite(f.actual_number())) out.actual_number = f.actual_number();
  if (f.has_expected_number() && std::isfinite(f.expected_number())) out.expected_number = f.expected_number();
  return out;
}

absl::StatusOr<Anomaly> FromEvent(const events::v1::AnomaliesDetected& event, const events::v1::DetectedAnomaly& d) {
  Anomaly a;
  ASSIGN_OR_RETURN(a.id, runtime::UuidOf("anomaly", "anomalies", d.anomaly()));
  if (!std::isfinite(d.score())) return InvalidArgument("row {}: the score is not finite", d.row_index());
  a.job = event.job();
  a.dataset = event.dataset();
  a.row_index = d.row_index();
  a.entity = d.entity();
  a.metric = d.metric();
  a.score = d.score();
  a.probability = std::clamp(std::isnan(d.probability()) ? 0.0 : d.probability(), 0.0, 1.0);
  a.confidence = std::clamp(std::isnan(d.confidence()) ? 0.0 : d.confidence(), 0.0, 1.0);
  a.severity = std::clamp(static_cast<int>(d.severity()), 1, 4);
  a.threshold = event.threshold();
  for (const auto& f : d.features()) a.features.push_back(FromProto(f));
  a.summary = d.summary();
  a.detection_methods = {event.algorithm()};
  a.model = event.model();
  a.raw_data.insert(d.raw_data().begin(), d.raw_data().end());
  google::protobuf::Struct metadata;
  (*metadata.mutable_fields())["space"].set_string_value(event.space());
  (*metadata.mutable_fields())["task"].set_string_value(event.task());
  a.metadata.clear();
  (void)google::protobuf::util::MessageToJsonString(metadata, &a.metadata);
  a.detect_time = absl::FromUnixMicros(google::protobuf::util::TimeUtil::TimestampToMicroseconds(event.detect_time()));
  return a;
}

}  // namespace

void ToProto(const Anomaly& a, v1::Anomaly* out) {
  out->set_name("anomalies/" + a.id);
  out->set_job(a.job);
  out->set_dataset(a.dataset);
  out->set_row_index(a.row_index);
  out->set_entity(a.entity);
  out->set_metric(a.metric);
  out->set_anomaly_score(a.score);
  out->set_probability(a.probability);
  out->set_confidence(a.confidence);
  out->set_severity(static_cast<common::v1::Severity>(a.severity));
  out->set_threshold(a.threshold);
  if (const auto v = a.ActualValue()) out->set_actual_value(*v);
  if (const auto v = a.ExpectedValue()) out->set_expected_value(*v);
  for (const Feature& f : a.features) {
    auto* p = out->add_anomalous_features();
    p->set_feature_name(f.name);
    p->set_lag(f.lag);
    p->set_contribution(f.contribution);
    p->set_share(f.share);
    p->set_actual_value(f.actual);
    p->set_expected_value(f.expected);
    if (f.actual_number) p->set_actual_number(*f.actual_number);
    if (f.expected_number) p->set_expected_number(*f.expected_number);
  }
  out->set_summary(a.summary);
  for (const std::string& m : a.detection_methods) out->add_detection_methods(m);
  out->set_model(a.model);
  out->mutable_raw_data()->insert(a.raw_data.begin(), a.raw_data.end());
  ParseStruct(a.metadata, out->mutable_metadata());
  out->set_status(static_cast<v1::Anomaly::Status>(static_cast<int>(a.status) + 1));
  *out->mutable_detect_time() = Stamp(a.detect_time);
  *out->mutable_create_time() = Stamp(a.create_time);
  *out->mutable_update_time() = Stamp(a.update_time);
  if (a.verdict) ToProto(*a.verdict, out->mutable_triage_verdict());
}

void ToProto(const TriageVerdict& v, v1::TriageVerdict* out) {
  out->set_opinion(static_cast<v1::TriageVerdict::Opinion>(static_cast<int>(v.opinion) + 1));
  out->set_confidence(v.confidence);
  out->set_reason(v.reason);
  for (const std::string& check : v.next_checks) out->add_next_checks(check);
  out->set_source(v.source);
  out->set_degraded_reason(v.degraded_reason);
  *out->mutable_create_time() = Stamp(v.create_time);
}

void ToProto(const std::string& anomaly_id, const Feedback& f, v1::Feedback* out) {
  out->set_name(fmt::format("anomalies/{}/feedback/{}", anomaly_id, f.id));
  out->set_verdict(static_cast<v1::Feedback::Verdict>(static_cast<int>(f.verdict) + 1));
  out->set_confidence(f.confidence);
  out->set_comment(f.comment);
  ParseStruct(f.business_context, out->mutable_business_context());
  out->set_author(f.author);
  *out->mutable_create_time() = Stamp(f.create_time);
}

absl::StatusOr<TaskResult> FromEvent(const events::v1::AnomaliesDetected& event) {
  TaskResult result;
  result.job = event.job();
  result.task = event.task();
  result.part = event.part();
  result.part_count = std::max(1, event.part_count());
  result.rows_scored = event.rows_scored();
  if (result.task.empty()) return InvalidArgument("the task is not named");
  if (result.part < 0 || result.part >= result.part_count) {
    return InvalidArgument("{}: part {} of {} does not exist", result.task, result.part, result.part_count);
  }
  for (const auto& d : event.anomalies()) {
    ASSIGN_OR_RETURN(Anomaly anomaly, FromEvent(event, d));
    result.anomalies.push_back(std::move(anomaly));
  }
  return result;
}

absl::StatusOr<Feedback> FromProto(const v1::Feedback& feedback, const std::string& author) {
  std::vector<runtime::FieldViolation> bad;
  if (feedback.verdict() < v1::Feedback::CONFIRMED || feedback.verdict() > v1::Feedback::NEW_TREND) {
    bad.push_back({"feedback.verdict", "must be CONFIRMED, FALSE_ALARM, EXPECTED or NEW_TREND"});
  }
  if (!(feedback.confidence() >= 0 && feedback.confidence() <= 1)) {
    bad.push_back({"feedback.confidence", "must be between 0 and 1"});
  }
  if (feedback.comment().size() > kMaxComment) bad.push_back({"feedback.comment", "must be at most 4000 bytes"});
  Feedback out;
  if (feedback.has_business_context()) {
    out.business_context.clear();
    if (!google::protobuf::util::MessageToJsonString(feedback.business_context(), &out.business_context).ok() ||
        out.business_context.size() > kMaxContext) {
      bad.push_back({"feedback.business_context", "must be a JSON object of at most 64 KiB"});
    }
  }
  RETURN_IF_ERROR(runtime::InvalidFields(bad));
  out.verdict = static_cast<Verdict>(feedback.verdict() - 1);
  out.confidence = feedback.confidence() == 0 ? 1 : feedback.confidence();
  out.comment = feedback.comment();
  out.author = author;
  return out;
}

}  // namespace vedette::triage
