#pragma once

#include <absl/status/status.h>

#include "runtime/run.h"
#include "vedette/jobs/v1/config.pb.h"

namespace vedette::job_orchestrator {

jobs::v1::Config DefaultConfig();
absl::Status Validate(const jobs::v1::Config& config);
absl::Status Build(const jobs::v1::Config& config, runtime::App& app);

}  // namespace vedette::job_orchestrator
