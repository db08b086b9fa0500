#include "runtime/call_context.h"

#include <absl/time/clock.h>

#include <condition_variable>
#include <mutex>

namespace vedette::runtime {

absl::Status CallContext::Check() const {
  // The deadline first: gRPC cancels a call whose deadline passed, and the caller should learn the reason.
  if (absl::Now() > deadline) return absl::DeadlineExceededError("the deadline passed");
  if (stop.stop_requested()) return absl::CancelledError("the call was cancelled");
  return absl::OkStatus();
}

bool WaitFor(absl::Duration timeout, const std::stop_token& stop, const std::stop_token& also) {
  std::mutex mutex;
  std::condition_variable wake;
  const auto notify = [&mutex, &wake] {
    const std::lock_guard lock(mutex);
    wake.notify_all();
  };
  const std::stop_callback first(stop, notify);
  const std::stop_callback second(also, notify);
  std::unique_lock lock(mutex);
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  return !wake.wait_until(lock, until, [&] { return stop.stop_requested() || also.stop_requested(); });
}

}  // namespace vedette::runtime
