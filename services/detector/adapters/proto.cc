#include "services/detector/adapters/proto.h"

#include <absl/strings/str_split.h>

#include <cmath>

#include "base/status.h"
#include "wire/table_chunk.h"

namespace vedette::detector {

absl::StatusOr<DetectorSpec> FromProto(const common::v1::DetectorSpec& in) {
  DetectorSpec spec;
  if (!in.algorithm().empty()) spec.algorithm = in.algorithm();
  spec.params.insert(in.parameters().begin(), in.parameters().end());
  spec.contamination = in.contamination();
  if (in.seed() != 0) spec.seed = in.seed();
  ASSIGN_OR_RETURN(spec.prepare, wire::FromProto(in.prepare()));
  spec.threshold = in.threshold();
  spec.label_column = in.label_column();
  spec.open = {.imputation = in.prepare().imputation().empty(),
               .encoding = in.prepare().encoding().empty(),
               .scaling = in.prepare().scaling().empty()};
  return spec;
}

void ToProto(const outlier::FeatureContribution& f, common::v1::FeatureContribution* out) {
  out->set_feature_name(f.feature);
  out->set_contribution(f.contribution);
  out->set_share(f.share);
  out->set_actual_value(f.actual_text);
  out->set_expected_value(f.expected_text);
  if (std::isfinite(f.actual)) out->set_actual_number(f.actual);
  if (std::isfinite(f.expected)) out->set_expected_number(f.expected);
  if (std::isfinite(f.percentile)) out->set_percentile(f.percentile);
  if (std::isfinite(f.high)) out->set_high_contribution(f.high);
  if (std::isfinite(f.low)) out->set_low_contribution(f.low);
  out->set_lag(f.lag);
}

namespace {

void ToProto(const outlier::ParamSpec& p, v1::Algorithm::Parameter* q) {
  static constexpr const char* kTypes[] = {"int", "real", "bool", "choice", "text"};
  q->set_name(std::string(p.name));
  q->set_type(kTypes[static_cast<int>(p.type)]);
  q->set_default_value(std::string(p.default_value));
  if (p.type == outlier::ParamType::kInt || p.type == outlier::ParamType::kReal) {
    q->set_minimum(p.min);
    q->set_maximum(p.max);
  }
  if (p.type == outlier::ParamType::kChoice) {
    const std::string choices(p.choices);
    for (const auto choice : absl::StrSplit(choices, '|')) q->add_choices(std::string(choice));
  }
  q->set_summary(std::string(p.summary));
}

}  // namespace

void ToProto(const outlier::ThresholdDescriptor& d, v1::ThresholdRule* out) {
  out->set_name(std::string(d.name));
  out->set_summary(std::string(d.summary));
  out->set_paper(std::string(d.paper));
  for (const outlier::ParamSpec& p : d.params) ToProto(p, out->add_parameters());
}

outlier::DecisionOptions FromProto(const v1::DecisionOptions& in) {
  return {.false_discovery_rate = in.false_discovery_rate(), .rejection_tolerance = in.rejection_tolerance()};
}

void ToProto(const outlier::Descriptor& d, v1::Algorithm* out) {
  out->set_name(fmt::format("algorithms/{}", d.name));
  out->set_family(std::string(d.family));
  out->set_summary(std::string(d.summary));
  out->set_paper(std::string(d.paper));
  out->set_deterministic(d.deterministic);
  out->set_incremental(d.incremental);
  out->set_needs_labels(d.needs_labels);
  out->set_takes_categories(d.categories);
  out->set_explains(d.explains);
  out->set_nan_policy(d.nan == outlier::NanPolicy::kNative ? "native" : "imputed");
  out->set_fit_cost(std::string(d.fit_cost));
  out->set_score_cost(std::string(d.score_cost));
  for (const outlier::ParamSpec& p : d.params) ToProto(p, out->add_parameters());
}

void ToProto(const Choice& choice, common::v1::ModelSelection* out) {
  for (const outlier::Pick& p : choice.selection.picks) {
    auto* pick = out->add_picks();
    pick->set_algorithm(p.algorithm);
    pick->mutable_parameters()->insert(p.params.begin(), p.params.end());
    pick->set_reason(p.reason);
    pick->set_expected_quality(p.expected_quality);
    pick->set_fit_seconds(p.cost.fit_seconds);
    pick->set_score_seconds_per_row(p.cost.score_seconds_per_row);
    pick->set_fit_bytes(p.cost.fit_bytes);
    pick->set_model_bytes(p.cost.model_bytes);
  }
  const std::vector<double> values = outlier::MetaFeatures(choice.profile);
  const std::vector<std::string_view> names = outlier::MetaFeatureNames();
  for (size_t i = 0; i < names.size(); ++i) (*out->mutable_profile())[std::string(names[i])] = values[i];
  out->set_review(choice.selection.review.outcome);
  out->set_review_prompt(choice.selection.review.prompt);
  out->set_review_answer(choice.selection.review.answer);
}

void ToProto(const InlineOutcome& outcome, google::protobuf::RepeatedPtrField<v1::RowResult>* rows) {
  rows->Reserve(static_cast<int>(outcome.rows.size()));
  size_t next = 0;
  for (size_t i = 0; i < outcome.rows.size(); ++i) {
    const outlier::RowScore& s = outcome.rows[i];
    auto* r = rows->Add();
    r->set_row_index(static_cast<int64_t>(i));
    r->set_score(s.score);
    r->set_probability(s.probability);
    r->set_confidence(s.confidence);
    r->set_linear_probability(outcome.model->scale().LinearProbability(s.score));
    r->set_p_value(outcome.model->scale().PValue(s.score));
    r->set_rejected(s.rejected);
    r->set_anomaly(s.anomaly);
    r->set_severity(static_cast<common::v1::Severity>(static_cast<int>(s.severity)));
    if (next < outcome.anomalies.size() && outcome.anomalies[next].row_index == static_cast<int64_t>(i)) {
      for (const auto& f : outcome.anomalies[next].features) ToProto(f, r->add_features());
      ++next;
    }
  }
}

}  // namespace vedette::detector
