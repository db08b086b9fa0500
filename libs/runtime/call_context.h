#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <stop_token>
#include <string>

#include "base/context.h"
#include "runtime/auth.h"
#include "runtime/trace.h"

namespace vedette::runtime {

/// What a handler knows about the call it serves. Valid until the handler returns.
struct CallContext {
  Identity identity;
  /// Whose data this call may touch: the token's tenant, or what a service names in x-vedette-tenant. Never empty,
  /// but for public methods and for those that stand above tenants (permission area.admin).
  std::string tenant;
  std::string request_id;  ///< from x-request-id, or made here
  TraceContext trace;
  std::string method;  ///< "vedette.triage.v1.TriageService/ListAnomalies"
  /// When the caller stops waiting. InfiniteFuture only for streams.
  absl::Time deadline = absl::InfiniteFuture();
  /// Fires when the caller went away, the deadline passed, or the server gave up waiting at shutdown.
  std::stop_token stop;
  /// Fires as soon as the server starts to shut down: streams that only wait (Watch...) end now, with UNAVAILABLE.
  std::stop_token drain;
  /// The caller's token, for calls made on its behalf. Secret: never log it.
  std::string token;

  /// OK, CANCELLED or DEADLINE_EXCEEDED.
  absl::Status Check() const;
  /// For long computations in our libraries.
  Context Compute(ThreadPool* pool = nullptr, uint64_t seed = 42) const {
    return Context{.seed = seed, .pool = pool, .stop = stop, .deadline = deadline};
  }
};

/// Waits up to `timeout`, or until one of the tokens fires. True when the whole time passed.
bool WaitFor(absl::Duration timeout, const std::stop_token& stop, const std::stop_token& also = {});

}  // namespace vedette::runtime
