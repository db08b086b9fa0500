#include "base/status.h"
#include "services/detector/adapters/feature_collector.h"
#include "services/detector/adapters/remote.h"
#include "vedette/features/v1/features.grpc.pb.h"

namespace vedette::detector {
namespace {

absl::StatusOr<std::unique_ptr<features::v1::FeatureEngineService::Stub>> FeatureStub(runtime::Channels& channels) {
  ASSIGN_OR_RETURN(const auto channel, channels.Get("feature-engine"));
  return features::v1::FeatureEngineService::NewStub(channel);
}

void ToProto(const table::PrepareOptions& options, common::v1::PrepareOptions* out) {
  static constexpr const char* kImputation[] = {"median", "mean", "none"};
  static constexpr const char* kEncoding[] = {"one_hot", "frequency", "ordinal", "native"};
  static constexpr const char* kScaling[] = {"none", "standard", "robust"};
  out->mutable_ignore_columns()->Add(options.ignore_columns.begin(), options.ignore_columns.end());
  out->set_imputation(kImputation[static_cast<int>(options.imputation)]);
  out->set_encoding(kEncoding[static_cast<int>(options.encoding)]);
  out->set_scaling(kScaling[static_cast<int>(options.scaling)]);
  out->set_window(options.window);
}

}  // namespace

absl::StatusOr<FeatureSet> RemoteFeatures::Create(const std::string& dataset, const table::PrepareOptions& options) {
  ASSIGN_OR_RETURN(const auto stub, FeatureStub(channels_));
  features::v1::CreateFeatureSetRequest request;
  request.set_dataset(dataset);
  ToProto(options, request.mutable_options());
  ASSIGN_OR_RETURN(const features::v1::FeatureSet set,
                   runtime::Call(*stub, &features::v1::FeatureEngineService::Stub::CreateFeatureSet, out_, request));
  return FeatureSet{
      .name = set.name(), .version = set.version(), .features = {set.features().begin(), set.features().end()}};
}

absl::StatusOr<FeatureBlock> RemoteFeatures::Read(const FeatureQuery& query) {
  ASSIGN_OR_RETURN(const auto stub, FeatureStub(channels_));
  features::v1::StreamFeaturesRequest request;
  request.set_feature_set(query.feature_set);
  request.set_dataset(query.dataset);
  request.set_first_row(query.first_row);
  request.set_row_count(query.row_count);
  request.set_sample_rows(query.sample_rows);
  request.set_seed(query.seed);
  request.set_include_table(query.include_table);
  request.mutable_table_columns()->Add(query.table_columns.begin(), query.table_columns.end());
  FeatureCollector collector(query);
  RETURN_IF_ERROR(
      runtime::CallStream(*stub, &features::v1::FeatureEngineService::Stub::StreamFeatures, out_, request,
                          [&](const features::v1::StreamFeaturesResponse& part) { return collector.Add(part); }));
  return collector.Take();
}

}  // namespace vedette::detector
