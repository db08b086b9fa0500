#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace vedette::runtime {

/// Threads for RPC handlers, which may block: started when needed, at most max_threads, with at most max_queued tasks
/// waiting. (base's ThreadPool is for computing: as many threads as CPUs.) Tasks must not throw.
class WorkPool {
 public:
  WorkPool(int max_threads, int max_queued);
  /// Runs what is queued, then joins.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  /// False when every thread is busy and the queue is full; the task is dropped then.
  [[nodiscard]] bool TrySubmit(std::function<void()> task);
  int64_t queued() const;
  int64_t busy() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::runtime
