#pragma once

#include <absl/status/status.h>

#include "runtime/run.h"
#include "vedette/modelcache/v1/config.pb.h"

namespace vedette::model_cache {

modelcache::v1::Config DefaultConfig();
absl::Status Validate(const modelcache::v1::Config& config);
absl::Status Build(const modelcache::v1::Config& config, runtime::App& app);

}  // namespace vedette::model_cache
