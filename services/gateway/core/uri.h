// The parts of a request's target (RFC 3986), decoded strictly: whatever could be read in two ways is refused.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vedette::gateway {

/// "/v1/jobs?page_size=5" -> {"/v1/jobs", "page_size=5"}. The query is without its question mark.
struct Target {
  std::string_view path;
  std::string_view query;
};
/// Nothing unless it is of the origin form (begins with a slash; no fragment, no control characters or spaces).
std::optional<Target> SplitTarget(std::string_view target);

/// One segment of a path, percent-decoded. Nothing for a broken escape, and for what has no place in a resource name:
/// the empty segment, "." and "..", slashes and backslashes, control characters, invalid UTF-8.
std::optional<std::string> DecodeSegment(std::string_view segment);

/// name=value pairs in their order; + is a space. INVALID_ARGUMENT for a broken escape, invalid UTF-8 or NUL, and for
/// more than kMaxQueryParameters of them.
inline constexpr int kMaxQueryParameters = 1000;
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query);

/// Whether it is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
bool IsUtf8(std::string_view text);

}  // namespace vedette::gateway
