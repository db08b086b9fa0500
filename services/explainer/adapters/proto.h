#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>

#include "services/explainer/core/ask.h"
#include "services/explainer/core/explanation.h"
#include "vedette/events/v1/events.pb.h"
#include "vedette/explainer/v1/explainer.pb.h"

namespace vedette::explainer {

void ToProto(const StoredExplanation& explanation, v1::Explanation* out);
void ToProto(const Answer& answer, v1::Explanation* out);

using RangesProto = google::protobuf::RepeatedPtrField<common::v1::ColumnRange>;
std::vector<explain::AllowedRange> FromProto(const RangesProto& ranges);

/// The part that ExplainAnomalyRequest, the batch and the stream, and ExplainTask have in common.
template <typename Message>
Ask AskOf(const Message& message) {
  Ask ask{.method = message.method(), .options = {}};
  ask.options.mode = message.mode();
  ask.options.samples = message.samples();
  ask.options.frozen.assign(message.frozen_columns().begin(), message.frozen_columns().end());
  ask.options.ranges = FromProto(message.allowed_ranges());
  return ask;
}
void ToProto(const Ask& ask, events::v1::ExplainTask* out);

}  // namespace vedette::explainer
