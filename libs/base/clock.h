// Time as a port, so that tests move it by hand.
#pragma once

#include <absl/time/clock.h>
#include <absl/time/time.h>

namespace vedette {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  /// The machine's clock; lives for ever.
  static const Clock& System();
};

namespace clock_internal {
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};
}  // namespace clock_internal

inline const Clock& Clock::System() {
  static const clock_internal::SystemClock clock;
  return clock;
}

/// A clock that moves only when told to. Not thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time start) : now_(start) {}
  absl::Time Now() const override { return now_; }
  void Advance(absl::Duration d) { now_ += d; }

 private:
  absl::Time now_;
};

}  // namespace vedette
