// A bounded set of PostgreSQL sessions.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "storage/connection.h"

namespace vedette::storage {

/// Called without locks held, from any thread; must be quick. Unset ones are skipped.
struct PoolHooks {
  std::function<void(absl::Duration waited, bool ok)> on_checkout;
  std::function<void(const absl::Status&)> on_connect;  ///< OK, or why a connection could not be opened
  std::function<void(absl::Duration took, const absl::Status&)> on_transaction;
};

struct PoolOptions {
  std::string conninfo;
  int size = 4;
  absl::Duration checkout_timeout = absl::Seconds(5);
  ConnectOptions connect = {};
  PoolHooks hooks = {};
};

/// Thread-safe; connections are opened when first needed and replaced when they broke. Outlives its leases.
class Pool {
 public:
  explicit Pool(PoolOptions options);
  Pool(std::string conninfo, int size) : Pool(PoolOptions{.conninfo = std::move(conninfo), .size = size}) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// A connection, given back on destruction: rolled back if a transaction is open, dropped if it broke.
  class Lease {
   public:
    Lease(Lease&& o) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Connection& operator*() const { return *connection_; }
    Connection* operator->() const { return connection_.get(); }

   private:
    friend class Pool;
    Lease(Pool* pool, std::unique_ptr<Connection> c) : pool_(pool), connection_(std::move(c)) {}
    Pool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  /// RESOURCE_EXHAUSTED when none came free in time; UNAVAILABLE when the server cannot be reached.
  absl::StatusOr<Lease> Checkout(absl::Time deadline);
  absl::StatusOr<Lease> Checkout() { return Checkout(absl::Now() + options_.checkout_timeout); }
  /// For readiness: one round trip.
  absl::Status Ping(absl::Time deadline);

  struct Stats {
    int size = 0;
    int in_use = 0;
    int open = 0;
  };
  Stats stats() const;
  const PoolOptions& options() const { return options_; }

 private:
  struct State;
  void Return(std::unique_ptr<Connection> connection);
  PoolOptions options_;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::storage
