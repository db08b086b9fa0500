#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace vedette {

struct ThreadPool::State {
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> queue;
  bool stopping = false;
  int64_t max_queued = 0;
  std::vector<std::thread> workers;

  void Run() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return stopping || !queue.empty(); });
        if (queue.empty()) return;
        task = std::move(queue.front());
        queue.pop_front();
      }
      task();
    }
  }
};

ThreadPool::ThreadPool(int threads, int64_t max_queued) : state_(std::make_shared<State>()) {
  state_->max_queued = max_queued;
  for (int i = 0; i < std::max(1, threads); ++i) state_->workers.emplace_back([s = state_.get()] { s->Run(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

bool ThreadPool::TrySchedule(std::function<void()> task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping || static_cast<int64_t>(state_->queue.size()) >= state_->max_queued) return false;
    state_->queue.push_back(std::move(task));
  }
  state_->wake.notify_one();
  return true;
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()); }

int64_t ThreadPool::queued() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int64_t>(state_->queue.size());
}

int AvailableCpus() {
  int cpus = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = std::max(1, CPU_COUNT(&set));
  std::ifstream file("/sys/fs/cgroup/cpu.max");  // cgroup v2: "max 100000" or "<quota> <period>" in microseconds
  std::string quota;
  double period = 0;
  if (file >> quota >> period && quota != "max" && period > 0) {
    cpus = std::clamp(static_cast<int>(std::stod(quota) / period + 0.5), 1, cpus);
  }
  return cpus;
}

void ParallelFor(ThreadPool* pool, int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(1, grain);
  const int64_t pieces = (n + grain - 1) / grain;
  if (pool == nullptr || pieces == 1) {
    for (int64_t p = 0; p < pieces; ++p) body(p * grain, std::min(n, (p + 1) * grain));
    return;
  }
  // Helpers may start after everything is done, so what they touch is shared and outlives this call.
  struct Shared {
    std::atomic<int64_t> next{0};
    std::atomic<int64_t> done{0};
    std::mutex mutex;
    std::condition_variable finished;
  };
  auto shared = std::make_shared<Shared>();
  const auto* body_ptr = &body;
  const auto work = [shared, body_ptr, n, grain, pieces] {
    for (;;) {
      const int64_t p = shared->next.fetch_add(1, std::memory_order_relaxed);
      if (p >= pieces) return;
      (*body_ptr)(p * grain, std::min(n, (p + 1) * grain));
      if (shared->done.fetch_add(1, std::memory_order_acq_rel) + 1 == pieces) {
        const std::lock_guard lock(shared->mutex);
        shared->finished.notify_all();
      }
    }
  };
  const int64_t helpers = std::min<int64_t>(pool->threads(), pieces - 1);
  for (int64_t i = 0; i < helpers; ++i) {
    if (!pool->TrySchedule(work)) break;
  }
  work();
  std::unique_lock lock(shared->mutex);
  shared->finished.wait(lock, [&] { return shared->done.load(std::memory_order_acquire) == pieces; });
}

}  // namespace vedette
