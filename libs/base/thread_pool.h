// The one level of parallelism: a fixed pool, and ParallelFor on top of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace vedette {

/// A fixed number of threads over one queue. Tasks must not throw. Destruction runs what is queued, then joins.
class ThreadPool {
 public:
  /// threads >= 1; max_queued bounds the queue that TrySchedule may fill.
  explicit ThreadPool(int threads, int64_t max_queued = 1 << 20);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Queues the task; false when the queue is full or the pool is shutting down (the task is dropped then).
  [[nodiscard]] bool TrySchedule(std::function<void()> task);
  int threads() const;
  /// Tasks waiting, for metrics.
  int64_t queued() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// CPUs this process may use: the cgroup quota and the affinity mask, not the machine's count. At least 1.
int AvailableCpus();

/// Calls body(begin, end) over [0, n) in pieces of `grain` rows, on the pool and on the calling thread, and returns
/// when all are done. The pieces depend only on n and grain, so a reduction that keeps one partial result per piece
/// (index begin / grain) and adds them up in order gives the same bits at any thread count.
/// pool == nullptr runs on the calling thread. Safe to nest: the caller always helps. body must not throw.
void ParallelFor(ThreadPool* pool, int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace vedette
