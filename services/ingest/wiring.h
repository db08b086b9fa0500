// What vedette-ingest is made of.
#pragma once

#include <absl/status/status.h>

#include "runtime/run.h"
#include "vedette/ingest/v1/config.pb.h"

namespace vedette::ingest {

v1::Config DefaultConfig();
/// Every bound of config.proto, all violations at once.
absl::Status Validate(const v1::Config& config);
/// Plain constructors; the app owns everything.
absl::Status Build(const v1::Config& config, runtime::App& app);

}  // namespace vedette::ingest
