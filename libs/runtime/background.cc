#include "runtime/background.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "base/rng.h"
#include "base/status.h"
#include "runtime/log.h"

namespace vedette::runtime {

struct BackgroundWorker::State {
  std::string name;
  Round round;
  BackgroundOptions options;
  prometheus::Counter& rounds;
  prometheus::Counter& failures;
  std::mutex mutex;
  std::condition_variable_any pause;
  bool woken = false;
  std::jthread thread;

  absl::Status RunOnce(std::stop_token stop) {
    try {
      return round(stop);
    } catch (const std::exception& e) {
      return Internal("stray exception: {}", e.what());
    }
  }

  void Sleep(absl::Duration duration, const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    pause.wait_for(lock, stop, absl::ToChronoNanoseconds(duration), [this] { return woken; });
    woken = false;
  }

  void Loop(const std::stop_token& stop) {
    Rng jitter(static_cast<uint64_t>(absl::ToUnixNanos(absl::Now())), std::hash<std::string>()(name));
    absl::Duration backoff = options.min_backoff;
    while (!stop.stop_requested()) {
      const absl::Status status = RunOnce(stop);
      if (stop.stop_requested()) break;
      rounds.Increment();
      if (status.ok()) {
        backoff = options.min_backoff;
        if (options.interval > absl::ZeroDuration()) Sleep(options.interval, stop);
        continue;
      }
      failures.Increment();
      const absl::Duration wait = backoff * jitter.Uniform(0.5, 1.0);
      LogWarning("background work failed; trying again", {{"worker", name},
                                                          {"error", Message(status)},
                                                          {"code", absl::StatusCodeToString(status.code())},
                                                          {"retry_in_seconds", absl::ToDoubleSeconds(wait)}});
      Sleep(wait, stop);
      backoff = std::min(backoff * 2, options.max_backoff);
    }
  }
};

BackgroundWorker::BackgroundWorker(std::string name, Round round, Metrics& metrics, BackgroundOptions options)
    : state_(new State{
          .name = name,
          .round = std::move(round),
          .options = options,
          .rounds = metrics.Counter("background_rounds_total", "Rounds of background workers", {{"worker", name}}),
          .failures =
              metrics.Counter("background_failures_total", "Failed rounds of background workers", {{"worker", name}})}) {}

BackgroundWorker::~BackgroundWorker() = default;  // the jthread stops and joins first: it is the last member

void BackgroundWorker::Start() {
  state_->thread = std::jthread([s = state_.get()](const std::stop_token& stop) { s->Loop(stop); });
}

void BackgroundWorker::Wake() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->woken = true;
  }
  state_->pause.notify_all();
}

void BackgroundWorker::Join() {
  if (state_->thread.joinable()) state_->thread.join();
}

void BackgroundWorker::RequestStop() { state_->thread.request_stop(); }

}  // namespace vedette::runtime
