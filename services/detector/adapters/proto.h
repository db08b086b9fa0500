// Between this service's types and its protos.
#pragma once

#include <absl/status/statusor.h>

#include "outlier/detector.h"
#include "services/detector/core/engine.h"
#include "vedette/common/v1/common.pb.h"
#include "vedette/detector/v1/detector.pb.h"

namespace vedette::detector {

absl::StatusOr<DetectorSpec> FromProto(const common::v1::DetectorSpec& spec);
void ToProto(const outlier::FeatureContribution& feature, common::v1::FeatureContribution* out);
void ToProto(const outlier::Descriptor& descriptor, v1::Algorithm* out);
void ToProto(const outlier::ThresholdDescriptor& rule, v1::ThresholdRule* out);
outlier::DecisionOptions FromProto(const v1::DecisionOptions& options);
void ToProto(const Choice& choice, common::v1::ModelSelection* out);
/// Every row, and the features of the anomalous ones.
void ToProto(const InlineOutcome& outcome, google::protobuf::RepeatedPtrField<v1::RowResult>* rows);

}  // namespace vedette::detector
