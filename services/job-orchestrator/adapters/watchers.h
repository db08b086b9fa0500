#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include <absl/time/time.h>

namespace vedette::job_orchestrator {

/// Wakes the streams that watch jobs when this process changed something. Changes by other processes are found by their
/// polling.
class Watchers {
 public:
  void Notify() {
    {
      const std::lock_guard lock(mutex_);
      ++changes_;
    }
    wake_.notify_all();
  }
  /// Returns when something changed since `seen`, or after `timeout`; gives the new count.
  uint64_t Wait(uint64_t seen, absl::Duration timeout) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, absl::ToChronoMilliseconds(timeout), [&] { return changes_ != seen; });
    return changes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  uint64_t changes_ = 0;
};

}  // namespace vedette::job_orchestrator
