#include "services/explainer/adapters/proto.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <cmath>

#include "explain/lime.h"
#include "services/explainer/core/similar.h"

namespace vedette::explainer {
namespace {

google::protobuf::Timestamp Stamp(absl::Time t) {
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(t));
}

void ToProto(const explain::Contribution& c, common::v1::FeatureContribution* out) {
  out->set_feature_name(c.feature_name);
  out->set_contribution(c.contribution);
  out->set_share(c.share);
  out->set_actual_value(c.actual_text);
  out->set_expected_value(c.expected_text);
  if (std::isfinite(c.actual)) out->set_actual_number(c.actual);
  if (std::isfinite(c.expected)) out->set_expected_number(c.expected);
  if (std::isfinite(c.percentile)) out->set_percentile(c.percentile);
  out->set_direction(std::string(explain::DirectionName(c.direction)));
  if (std::isfinite(c.standard_error)) out->set_standard_error(c.standard_error);
  if (std::isfinite(c.high)) out->set_high_contribution(c.high);
  if (std::isfinite(c.low)) out->set_low_contribution(c.low);
  out->set_lag(c.lag);
}

void ToProto(const WordedCounterfactual& c, v1::Counterfactual* out) {
  out->set_found(c.found);
  out->set_already_normal(c.already_normal);
  out->set_minimal(c.minimal);
  for (const auto& change : c.changes) {
    auto* p = out->add_changes();
    p->set_feature_name(change.feature);
    p->set_from_value(change.from);
    p->set_to_value(change.to);
  }
  out->set_verified_score(c.score);
  out->set_threshold(c.threshold);
  out->mutable_frozen_columns()->Add(c.frozen.begin(), c.frozen.end());
}

void ToProto(const SimilarIncident& s, v1::SimilarIncident* out) {
  out->set_anomaly("anomalies/" + s.finding.anomaly_id);
  out->set_similarity(s.similarity);
  out->set_dataset(s.finding.dataset);
  out->set_row_index(s.finding.row_index);
  out->set_entity(s.finding.entity);
  out->set_severity(static_cast<common::v1::Severity>(static_cast<int>(s.finding.score.severity)));
  *out->mutable_detect_time() = Stamp(s.finding.detect_time);
  out->set_outcome(s.outcome);
  out->set_outcome_confidence(s.outcome_confidence);
  for (std::string& driver : DriversOf(s.finding.signature)) out->add_drivers(std::move(driver));
}

void ToProto(const PeerStanding& p, v1::PeerComparison* out) {
  out->set_peer_group(p.peer_group);
  out->set_metric(p.metric);
  *out->mutable_period_start() = Stamp(p.period_start);
  *out->mutable_period_end() = Stamp(p.period_end);
  out->set_value(p.value);
  out->set_peer_median(p.peer_median);
  out->set_robust_z(p.robust_z);
  out->set_percentile(p.percentile);
  out->set_peer_count(p.peer_count);
}

}  // namespace

void ToProto(const StoredExplanation& e, v1::Explanation* out) {
  out->set_name(fmt::format("anomalies/{}/explanations/{}", e.anomaly_id, e.id));
  out->set_method(e.explanation.method);
  out->set_mode(e.mode);
  out->set_space(e.explanation.space);
  for (const explain::Contribution& c : e.explanation.contributions) ToProto(c, out->add_contributions());
  out->set_no_single_driver(e.explanation.no_single_driver);
  out->set_text(e.explanation.text);
  out->set_text_source(e.text_source);
  out->set_degraded_reason(e.degraded_reason);
  out->set_model(e.model);
  out->set_explained_output(e.explained);
  if (e.expected) out->set_expected_value(*e.expected);
  if (e.output) out->set_output_value(*e.output);
  if (e.additivity_error) out->set_additivity_error(*e.additivity_error);
  out->set_exact(e.exact);
  out->set_background(e.background);
  out->set_background_rows(e.background_rows);
  if (e.r2) out->set_r2(*e.r2);
  out->set_poor_fit(e.explanation.method == "lime" && !(e.r2 && *e.r2 >= explain::kLimeUsable));
  out->mutable_warnings()->Add(e.warnings.begin(), e.warnings.end());
  if (e.counterfactual) ToProto(*e.counterfactual, out->mutable_counterfactual());
  out->set_row_hash(e.row_hash);
  out->set_features_left_out(static_cast<int32_t>(e.explanation.features_left_out));
  *out->mutable_create_time() = Stamp(e.create_time);
}

void ToProto(const Answer& answer, v1::Explanation* out) {
  ToProto(answer.explanation, out);
  for (const SimilarIncident& s : answer.similar) ToProto(s, out->add_similar_incidents());
  for (const ChangeEvent& c : answer.changes) {
    auto* p = out->add_change_events();
    p->set_change_event(c.name);
    p->set_kind(c.kind);
    p->set_title(c.title);
    p->set_entity(c.entity);
    *p->mutable_event_time() = Stamp(c.time);
    p->set_hours_before(absl::ToDoubleHours(answer.when - c.time));
  }
  for (const PeerStanding& s : answer.peers) ToProto(s, out->add_peers());
  if (!answer.since) return;
  auto* since = out->mutable_off_since();
  since->set_entity(answer.entity);
  *since->mutable_start_time() = Stamp(answer.since->start);
  since->set_readings(answer.since->readings);
  if (answer.since->last_normal != absl::InfinitePast())
    *since->mutable_last_normal_time() = Stamp(answer.since->last_normal);
}

std::vector<explain::AllowedRange> FromProto(const RangesProto& ranges) {
  std::vector<explain::AllowedRange> out;
  for (const auto& r : ranges) {
    explain::AllowedRange range{.column = r.column()};
    if (r.has_low()) range.low = r.low();
    if (r.has_high()) range.high = r.high();
    out.push_back(std::move(range));
  }
  return out;
}

void ToProto(const Ask& ask, events::v1::ExplainTask* out) {
  out->set_method(ask.method);
  out->set_mode(ask.options.mode);
  out->set_samples(ask.options.samples);
  out->mutable_frozen_columns()->Add(ask.options.frozen.begin(), ask.options.frozen.end());
  for (const explain::AllowedRange& r : ask.options.ranges) {
    auto* p = out->add_allowed_ranges();
    p->set_column(r.column);
    if (std::isfinite(r.low)) p->set_low(r.low);
    if (std::isfinite(r.high)) p->set_high(r.high);
  }
}

}  // namespace vedette::explainer
