#pragma once

#include <absl/status/status.h>

#include "runtime/run.h"
#include "vedette/triage/v1/config.pb.h"

namespace vedette::triage {

v1::Config DefaultConfig();
absl::Status Validate(const v1::Config& config);
absl::Status Build(const v1::Config& config, runtime::App& app);

}  // namespace vedette::triage
