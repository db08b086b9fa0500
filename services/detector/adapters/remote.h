// feature-engine and model-cache over gRPC, as one caller sees them.
#pragma once

#include "runtime/client.h"
#include "services/detector/ports/feature_source.h"
#include "services/detector/ports/model_registry.h"

namespace vedette::detector {

class RemoteFeatures final : public FeatureSource {
 public:
  RemoteFeatures(runtime::Channels& channels, runtime::Outgoing out) : channels_(channels), out_(std::move(out)) {}
  absl::StatusOr<FeatureSet> Create(const std::string& dataset, const table::PrepareOptions& options) override;
  absl::StatusOr<FeatureBlock> Read(const FeatureQuery& query) override;

 private:
  runtime::Channels& channels_;
  runtime::Outgoing out_;
};

class RemoteModels final : public ModelRegistry {
 public:
  RemoteModels(runtime::Channels& channels, runtime::Outgoing out) : channels_(channels), out_(std::move(out)) {}
  absl::StatusOr<Acquired> Acquire(const ModelKey& key, absl::Duration wait) override;
  absl::StatusOr<Lease> Renew(const std::string& lease_id) override;
  void Release(const std::string& lease_id, const absl::Status& why) override;
  absl::StatusOr<std::string> Upload(const std::string& lease_id, const std::string& bytes, const Training& training) override;
  absl::StatusOr<std::string> Download(const std::string& model) override;

 private:
  runtime::Channels& channels_;
  runtime::Outgoing out_;
};

}  // namespace vedette::detector
