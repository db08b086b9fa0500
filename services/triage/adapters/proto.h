// Between this service's types and its protos.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "services/triage/core/anomaly.h"
#include "vedette/events/v1/events.pb.h"
#include "vedette/triage/v1/triage.pb.h"

namespace vedette::triage {

void ToProto(const Anomaly& anomaly, v1::Anomaly* out);
void ToProto(const TriageVerdict& verdict, v1::TriageVerdict* out);
void ToProto(const std::string& anomaly_id, const Feedback& feedback, v1::Feedback* out);

/// What a detector found. INVALID_ARGUMENT for anything that the store could not hold (a bad id, a NaN score).
absl::StatusOr<TaskResult> FromEvent(const events::v1::AnomaliesDetected& event);
/// INVALID_ARGUMENT names the field.
absl::StatusOr<Feedback> FromProto(const v1::Feedback& feedback, const std::string& author);

}  // namespace vedette::triage
