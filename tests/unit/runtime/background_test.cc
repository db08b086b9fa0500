#include <atomic>
#include <catch2/catch.hpp>
#include <latch>
#include <stdexcept>

#include "runtime/background.h"
#include "runtime/call_context.h"
#include "runtime/log.h"

namespace vedette::runtime {

TEST_CASE("a background worker goes on after errors and exceptions, and stops at once") {
  SetLogSink([](std::string_view) {});
  Metrics metrics("test");
  std::atomic<int> rounds = 0;
  std::latch enough(1);
  {
    BackgroundWorker worker(
        "w",
        [&](std::stop_token) -> absl::Status {
          const int n = ++rounds;
          if (n == 1) return absl::UnavailableError("down");
          if (n == 2) throw std::runtime_error("stray");
          if (n == 3) enough.count_down();
          return absl::OkStatus();
        },
        metrics, {.interval = absl::Hours(1), .min_backoff = absl::Milliseconds(1)});
    worker.Start();
    enough.wait();
  }  // in the middle of an hour's pause
  SetLogSink(nullptr);
  CHECK(rounds == 3);
  CHECK(metrics.Scrape().find("background_failures_total{worker=\"w\"} 2") != std::string::npos);
}

TEST_CASE("Wake ends a pause") {
  Metrics metrics("test");
  std::latch first(1), second(2);
  BackgroundWorker worker(
      "w",
      [&](std::stop_token) {
        if (!first.try_wait()) first.count_down();
        if (!second.try_wait()) second.count_down();
        return absl::OkStatus();
      },
      metrics, {.interval = absl::Hours(1)});
  worker.Start();
  first.wait();
  worker.Wake();
  second.wait();
}

TEST_CASE("a worker that was never started is destroyed quietly") {
  Metrics metrics("test");
  BackgroundWorker worker("w", [](std::stop_token) { return absl::OkStatus(); }, metrics);
  worker.RequestStop();
  worker.Join();
}

TEST_CASE("WaitFor ends when a token fires") {
  std::stop_source stop, other;
  CHECK(WaitFor(absl::Milliseconds(1), stop.get_token()));
  other.request_stop();
  CHECK_FALSE(WaitFor(absl::Hours(1), stop.get_token(), other.get_token()));
  stop.request_stop();
  CHECK_FALSE(WaitFor(absl::Hours(1), stop.get_token()));
}

}  // namespace vedette::runtime
