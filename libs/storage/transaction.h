// The two ways to touch a service's tables. See README.md for the roles and policies behind them.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <string_view>

#include "storage/pool.h"

namespace vedette::storage {

/// An open transaction; lives only inside the callback that it is given to.
class Tx {
 public:
  absl::StatusOr<Result> Exec(std::string_view sql, const Params& params = {}) {
    return connection_->Exec(sql, params);
  }
  absl::Status Stream(std::string_view sql, const Params& params, const std::function<absl::Status(const Row&)>& row) {
    return connection_->Stream(sql, params, row);
  }
  /// The tenant that this transaction sees, or "" in AsService.
  const std::string& tenant() const { return tenant_; }
  Connection& connection() { return *connection_; }

  Tx(Connection* connection, std::string tenant) : connection_(connection), tenant_(std::move(tenant)) {}
  Tx(const Tx&) = delete;
  Tx& operator=(const Tx&) = delete;

 private:
  Connection* connection_;
  std::string tenant_;
};

using TxFunction = std::function<absl::Status(Tx&)>;

struct TxOptions {
  bool serializable = false;  ///< else READ COMMITTED
  bool read_only = false;
  int max_attempts = 5;  ///< for ABORTED (serialization failure, deadlock), with growing, jittered waits
};
inline constexpr TxOptions kReadOnly{.read_only = true};

/// BEGIN; app.tenant = tenant; fn; COMMIT. Rolls back and returns fn's error. Row-level security shows and accepts only
/// rows of `tenant`. `fn` may run several times, so it must have no effects outside the database, and assign rather
/// than append to what it captures. UNAVAILABLE from the COMMIT itself means that the outcome is unknown: repeat with
/// the same keys. INVALID_ARGUMENT for an empty tenant or one longer than 128 bytes.
absl::Status InTenant(Pool& pool, std::string_view tenant, const TxFunction& fn, const TxOptions& options = {});

/// As InTenant, across all tenants: sets the role <service>_worker for this transaction. For background work
/// (relays, sweepers, schedulers), never for a request.
absl::Status AsService(Pool& pool, const TxFunction& fn, const TxOptions& options = {});

}  // namespace vedette::storage
