#include "storage/pool.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <vector>

#include "base/status.h"

namespace vedette::storage {

struct Pool::State {
  mutable absl::Mutex mutex;
  std::vector<std::unique_ptr<Connection>> idle ABSL_GUARDED_BY(mutex);  // the most recently used is last
  int in_use ABSL_GUARDED_BY(mutex) = 0;
};

Pool::Pool(PoolOptions options) : options_(std::move(options)), state_(std::make_unique<State>()) {
  options_.size = std::clamp(options_.size, 1, 1000);
}
Pool::~Pool() = default;

Pool::Lease::Lease(Lease&& o) noexcept : pool_(o.pool_), connection_(std::move(o.connection_)) { o.pool_ = nullptr; }
Pool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->Return(std::move(connection_));
}

absl::StatusOr<Pool::Lease> Pool::Checkout(absl::Time deadline) {
  const absl::Time start = absl::Now();
  std::unique_ptr<Connection> connection;
  {
    absl::MutexLock lock(&state_->mutex);
    const auto free = [this]() ABSL_SHARED_LOCKS_REQUIRED(state_->mutex) { return state_->in_use < options_.size; };
    if (!state_->mutex.AwaitWithDeadline(absl::Condition(&free), deadline)) {
      if (options_.hooks.on_checkout) options_.hooks.on_checkout(absl::Now() - start, false);
      return ResourceExhausted("all {} database connections were busy for {} ms", options_.size,
                               absl::ToInt64Milliseconds(absl::Now() - start));
    }
    ++state_->in_use;
    if (!state_->idle.empty()) {
      connection = std::move(state_->idle.back());
      state_->idle.pop_back();
    }
  }
  if (connection != nullptr && !connection->StillThere()) connection.reset();
  if (connection == nullptr) {
    absl::StatusOr<std::unique_ptr<Connection>> opened = Connection::Open(options_.conninfo, options_.connect);
    if (options_.hooks.on_connect) options_.hooks.on_connect(opened.status());
    if (!opened.ok()) {
      {
        absl::MutexLock lock(&state_->mutex);
        --state_->in_use;
      }
      if (options_.hooks.on_checkout) options_.hooks.on_checkout(absl::Now() - start, false);
      return opened.status();
    }
    connection = *std::move(opened);
  }
  if (options_.hooks.on_checkout) options_.hooks.on_checkout(absl::Now() - start, true);
  return Lease(this, std::move(connection));
}

void Pool::Return(std::unique_ptr<Connection> connection) {
  if (connection != nullptr) {
    connection->AbortCopy();
    if (connection->healthy() && !connection->idle() && !connection->Script("rollback").ok()) connection.reset();
  }
  if (connection != nullptr && (!connection->healthy() || !connection->idle())) connection.reset();
  if (connection != nullptr) (void)connection->TakeFault();
  absl::MutexLock lock(&state_->mutex);
  --state_->in_use;
  if (connection != nullptr) state_->idle.push_back(std::move(connection));
}

absl::Status Pool::Ping(absl::Time deadline) {
  ASSIGN_OR_RETURN(const Lease lease, Checkout(deadline));
  return lease->Exec("select 1").status();
}

Pool::Stats Pool::stats() const {
  absl::MutexLock lock(&state_->mutex);
  return {
      .size = options_.size, .in_use = state_->in_use, .open = state_->in_use + static_cast<int>(state_->idle.size())};
}

}  // namespace vedette::storage
