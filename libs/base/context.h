// What every long computation is given: where it may run, how it is told to stop, and its seed.
#pragma once

#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <stop_token>

namespace vedette {

class ThreadPool;

struct Context {
  uint64_t seed = 42;
  ThreadPool* pool = nullptr;              ///< null: the calling thread only
  std::stop_token stop = {};               ///< asked at least every 100 ms of work
  absl::Time deadline = absl::InfiniteFuture();
  std::function<void(double)> progress = {};  ///< optional, called with 0..1

  /// OK, CANCELLED or DEADLINE_EXCEEDED. Cheap enough for once per block of rows.
  absl::Status Check() const {
    if (stop.stop_requested()) return absl::CancelledError("cancelled");
    if (deadline != absl::InfiniteFuture() && absl::Now() > deadline) {
      return absl::DeadlineExceededError("the deadline passed");
    }
    return absl::OkStatus();
  }
};

}  // namespace vedette
