#include "runtime/work_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace vedette::runtime {

struct WorkPool::State {
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> queue;
  std::vector<std::thread> threads;
  size_t max_threads = 1;
  size_t max_queued = 0;
  size_t idle = 0;
  bool stopping = false;

  void Run() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !queue.empty(); });
      --idle;
      if (queue.empty()) return;
      std::function<void()> task = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it holds is released outside of the lock
      lock.lock();
      ++idle;
    }
  }

  /// Under the lock. A thread counts as idle from its birth.
  bool AddThread() {
    if (threads.size() >= max_threads) return false;
    try {
      threads.emplace_back([this] { Run(); });
    } catch (const std::system_error&) {
      return false;  // the system gives no more threads; those we have go on
    }
    ++idle;
    return true;
  }
};

WorkPool::WorkPool(int max_threads, int max_queued) : state_(std::make_unique<State>()) {
  state_->max_threads = static_cast<size_t>(std::max(1, max_threads));
  state_->max_queued = static_cast<size_t>(std::max(0, max_queued));
}

WorkPool::~WorkPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

bool WorkPool::TrySubmit(std::function<void()> task) {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopping) return false;
  // Idle threads will take what is queued already; what is beyond that needs a thread, or waits.
  if (state_->queue.size() >= state_->idle && !state_->AddThread()) {
    if (state_->threads.empty() || state_->queue.size() - state_->idle >= state_->max_queued) return false;
  }
  state_->queue.push_back(std::move(task));
  state_->wake.notify_one();
  return true;
}

int64_t WorkPool::queued() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int64_t>(state_->queue.size());
}

int64_t WorkPool::busy() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int64_t>(state_->threads.size() - state_->idle);
}

}  // namespace vedette::runtime
