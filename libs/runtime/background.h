// Loops that run as long as the service does: outbox relays, stream consumers, refreshers.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "runtime/metrics.h"

namespace vedette::runtime {

struct BackgroundOptions {
  /// Pause after a round that returned OK. Zero: the next round starts at once (the round itself waits for work).
  absl::Duration interval = absl::ZeroDuration();
  /// Pause after an error: doubles from min to max, with up to 50% taken off at random.
  absl::Duration min_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(30);
};

/// Calls `round` over and over on a thread of its own until stopped. An error (or a stray exception) is logged, counted
/// in background_failures_total{worker}, and tried again after the backoff. `round` must return soon after its stop
/// token fires, and then its status does not matter.
class BackgroundWorker {
 public:
  using Round = std::function<absl::Status(std::stop_token)>;
  BackgroundWorker(std::string name, Round round, Metrics& metrics, BackgroundOptions options = {});
  /// Stops and joins.
  ~BackgroundWorker();
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;

  /// Starts the thread. Once.
  void Start();
  /// Ends a pause now, for example because work was just written to the outbox.
  void Wake();
  /// Fires the stop token and does not wait.
  void RequestStop();
  /// Returns when the thread has ended. Does not ask it to.
  void Join();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::runtime
