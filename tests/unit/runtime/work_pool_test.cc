#include <atomic>
#include <catch2/catch.hpp>
#include <latch>

#include "runtime/work_pool.h"

namespace vedette::runtime {

TEST_CASE("a work pool runs at most max_threads tasks and queues at most max_queued") {
  std::latch running(2), release(1);
  std::atomic<int> done = 0;
  {
    WorkPool pool(2, 1);
    const auto block = [&] {
      running.count_down();
      release.wait();
      ++done;
    };
    CHECK(pool.TrySubmit(block));
    CHECK(pool.TrySubmit(block));
    running.wait();
    CHECK(pool.busy() == 2);
    CHECK(pool.TrySubmit([&] { ++done; }));
    CHECK(pool.queued() == 1);
    CHECK_FALSE(pool.TrySubmit([&] { ++done; }));
    release.count_down();
  }
  CHECK(done == 3);
}

TEST_CASE("a work pool without a queue takes as many tasks as it may have threads, again and again") {
  WorkPool pool(3, 0);
  for (int round = 0; round < 200; ++round) {
    std::latch finished(3);
    int taken = 0;
    for (int i = 0; i < 3; ++i) {
      // A thread that has just counted down may not be idle yet; then the pool says so, and it is tried again.
      while (!pool.TrySubmit([&] { finished.count_down(); })) {
      }
      ++taken;
    }
    finished.wait();
    REQUIRE(taken == 3);
  }
}

}  // namespace vedette::runtime
