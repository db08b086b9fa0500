// One answer of feature-engine's StreamFeatures, put together from its messages.
#pragma once

#include "services/detector/ports/feature_source.h"
#include "table/rows.h"
#include "vedette/features/v1/features.pb.h"

namespace vedette::detector {

/// Holds every value once: the header and the query tell how many rows there will be, so that they are written to their
/// place in the matrix as they come.
class FeatureCollector {
 public:
  explicit FeatureCollector(const FeatureQuery& query) : query_(query) {}

  /// DATA_LOSS where a message does not fit the query or those before it.
  absl::Status Add(const features::v1::StreamFeaturesResponse& part);
  /// After the last message. DATA_LOSS when rows are missing.
  absl::StatusOr<FeatureBlock> Take();

 private:
  absl::Status Header(const features::v1::StreamFeaturesResponse::Header& header);
  absl::Status Rows(const features::v1::StreamFeaturesResponse::Rows& rows);
  absl::Status Context(const common::v1::TableChunk& chunk);

  const FeatureQuery query_;
  bool has_header_ = false;
  table::TableBuilder table_;
  FeatureBlock block_;
};

}  // namespace vedette::detector
