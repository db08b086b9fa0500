#include "services/explainer/adapters/proto.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <cmath>

namespace vedette::explainer {

void ToProto(const StoredExplanation& e, v1::Explanation* out) {
  out->set_name(fmt::format("anomalies/{}/explanations/{}", e.anomaly_id, e.id));
  out->set_method(e.explanation.method);
  out->set_space(e.explanation.space);
  for (const explain::Contribution& c : e.explanation.contributions) {
    auto* p = out->add_contributions();
    p->set_feature_name(c.feature_name);
    p->set_contribution(c.contribution);
    p->set_share(c.share);
    p->set_actual_value(c.actual_text);
    p->set_expected_value(c.expected_text);
    if (std::isfinite(c.actual)) p->set_actual_number(c.actual);
    if (std::isfinite(c.expected)) p->set_expected_number(c.expected);
  }
  out->set_no_single_driver(e.explanation.no_single_driver);
  out->set_text(e.explanation.text);
  out->set_text_source(e.text_source);
  out->set_degraded_reason(e.degraded_reason);
  out->set_model(e.model);
  *out->mutable_create_time() = google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(e.create_time));
}

}  // namespace vedette::explainer
