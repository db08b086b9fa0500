// What vedette-feature-engine is made of.
#pragma once

#include <absl/status/status.h>

#include "runtime/run.h"
#include "vedette/features/v1/config.pb.h"

namespace vedette::feature_engine {

features::v1::Config DefaultConfig();
/// Every bound of config.proto, all violations at once.
absl::Status Validate(const features::v1::Config& config);
/// Plain constructors; the app owns everything.
absl::Status Build(const features::v1::Config& config, runtime::App& app);

}  // namespace vedette::feature_engine
