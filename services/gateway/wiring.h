#pragma once

#include <absl/status/statusor.h>

#include "runtime/run.h"
#include "services/gateway/adapters/http_server.h"
#include "vedette/gateway/v1/config.pb.h"

namespace vedette::gateway {

v1::Config DefaultConfig();
absl::Status Validate(const v1::Config& config);
/// The HTTP server, which listens from now on, answers from app.Start() on, and belongs to the app.
absl::StatusOr<HttpServer*> BuildServer(const v1::Config& config, runtime::App& app);
absl::Status Build(const v1::Config& config, runtime::App& app);

}  // namespace vedette::gateway
