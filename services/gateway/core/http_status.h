#pragma once

#include <absl/status/status.h>

#include <string_view>

namespace vedette::gateway {

/// The HTTP status of a canonical code, as google/rpc/code.proto maps them (CANCELLED is 499, after nginx).
int HttpStatus(absl::StatusCode code);
/// "NOT_FOUND".
std::string_view CodeName(absl::StatusCode code);

}  // namespace vedette::gateway
