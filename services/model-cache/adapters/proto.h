#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "services/model-cache/core/model.h"
#include "vedette/modelcache/v1/model_cache.pb.h"

namespace vedette::model_cache {

void ToProto(const Model& model, modelcache::v1::Model* out);
void ToProto(const Lease& lease, modelcache::v1::Lease* out);
ModelKey FromProto(const modelcache::v1::ModelKey& key);
/// "models/{uuid}" -> the id; and a bare UUID. INVALID_ARGUMENT names the field.
absl::StatusOr<std::string> ModelId(std::string_view field, const std::string& name);
absl::Status CheckUuid(std::string_view field, std::string_view id);

}  // namespace vedette::model_cache
