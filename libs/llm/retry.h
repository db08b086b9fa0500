// How long to wait before asking again, by the rules of OpenAI's own clients.
#pragma once

#include <absl/time/time.h>

#include <optional>

#include "llm/transport.h"

namespace vedette::llm {

/// `retry-after-ms`, else `retry-after` (seconds or an HTTP date), when above 0; else 0.5 s * 2^attempt, at most 8 s,
/// minus up to a quarter: `jitter` is uniform in [0, 1). nullopt when the server asks for more than 120 s: give up.
/// `attempt` counts from 0.
std::optional<absl::Duration> RetryWait(const HttpReply& reply, int attempt, double jitter, absl::Time now);

}  // namespace vedette::llm
