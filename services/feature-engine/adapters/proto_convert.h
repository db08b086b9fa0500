// Between the messages of vedette.features.v1 and the domain's types.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <string_view>

#include "services/feature-engine/core/engine.h"
#include "vedette/features/v1/features.pb.h"

namespace vedette::feature_engine {

/// The id in "datasets/{uuid}", "featureSets/{32 hex}", "baselines/{uuid}". INVALID_ARGUMENT naming `field` otherwise.
absl::StatusOr<std::string> DatasetId(std::string_view name, std::string_view field);
absl::StatusOr<std::string> FeatureSetIdOf(std::string_view name, std::string_view field);
absl::StatusOr<std::string> BaselineId(std::string_view name);

absl::StatusOr<FeatureQuery> FromProto(const features::v1::StreamFeaturesRequest& request);
/// Scope, metric and period of the baseline wanted.
absl::StatusOr<Baseline> FromProto(const features::v1::CreateBaselineRequest& request);
absl::StatusOr<table::ColumnType> FromProto(common::v1::ColumnType type);

void ToProto(absl::Time time, google::protobuf::Timestamp* out);
void ToProto(const FeatureSet& feature_set, features::v1::FeatureSet* out);
void ToProto(const DataProfile& profile, features::v1::DataProfile* out);
void ToProto(const Baseline& baseline, features::v1::Baseline* out);
void ToProto(const FeatureHeader& header, features::v1::StreamFeaturesResponse* out);
void ToProto(const FeatureRows& rows, features::v1::StreamFeaturesResponse* out);

}  // namespace vedette::feature_engine
