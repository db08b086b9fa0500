// Resource names (AIP-122) whose ids are UUIDs: "anomalies/{uuid}", "jobs/{uuid}".
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace vedette::runtime {

/// 8-4-4-4-12 hexadecimal digits.
bool IsUuid(std::string_view id);

/// The UUID in "<collection>/{uuid}". INVALID_ARGUMENT (field `field`) for anything else, so that a name from outside never
/// reaches a store unchecked.
absl::StatusOr<std::string> UuidOf(std::string_view field, std::string_view collection, std::string_view name);

}  // namespace vedette::runtime
