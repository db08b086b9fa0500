#include "storage/transaction.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <random>
#include <thread>

#include "base/status.h"

namespace vedette::storage {
namespace {

constexpr size_t kMaxTenantBytes = 128;
constexpr char kAppSuffix[] = "_app";

absl::Status Enter(Connection& c, std::string_view tenant, bool as_service) {
  if (!as_service) {
    // Transaction-local, so the setting cannot leak to whoever gets the connection next.
    return c.Exec("select set_config('app.tenant', $1, true)", {tenant}).status();
  }
  ASSIGN_OR_RETURN(const Result r, c.Exec("select set_config('role', left(session_user, -4) || '_worker', true) "
                                          "where right(session_user, 4) = $1",
                                          {kAppSuffix}));
  if (r.empty()) return FailedPrecondition("AsService needs a connection as <service>_app");
  return absl::OkStatus();
}

// One attempt. `started` tells whether fn may have seen anything.
absl::Status Attempt(Pool& pool, const std::string& tenant, bool as_service, const TxFunction& fn,
                     const TxOptions& options, bool* started) {
  *started = false;
  ASSIGN_OR_RETURN(const Pool::Lease lease, pool.Checkout());
  (void)lease->TakeFault();
  RETURN_IF_ERROR(
      lease->Script(fmt::format("begin isolation level {}{}", options.serializable ? "serializable" : "read committed",
                                options.read_only ? " read only" : "")));
  RETURN_IF_ERROR(Enter(*lease, tenant, as_service));
  *started = true;
  Tx tx(&*lease, tenant);
  absl::Status status = fn(tx);
  if (status.ok()) status = lease->TakeFault();
  if (!status.ok()) {
    lease->AbortCopy();
    if (lease->healthy()) (void)lease->Script("rollback");
    return status;
  }
  if (!lease->healthy()) return Unavailable("the connection with PostgreSQL broke before the transaction could commit");
  // COMMIT of a failed transaction is answered with ROLLBACK, without an error.
  if (lease->failed()) {
    (void)lease->Script("rollback");
    return Internal("a statement failed inside the transaction and its error was not returned");
  }
  status = lease->Script("commit");
  if (absl::IsUnavailable(status)) {
    return Unavailable("the connection broke during COMMIT; whether it took effect is unknown: {}", Message(status));
  }
  return status;
}

absl::Status Run(Pool& pool, const std::string& tenant, bool as_service, const TxFunction& fn,
                 const TxOptions& options) {
  const absl::Time start = absl::Now();
  static thread_local std::minstd_rand jitter(std::random_device{}());
  absl::Status status;
  for (int attempt = 1;; ++attempt) {
    bool started = false;
    status = Attempt(pool, tenant, as_service, fn, options, &started);
    // A connection that died while idle shows at BEGIN: nothing has happened yet, so one more try is safe.
    // ABORTED without an SQLSTATE is fn's own answer (an etag that does not match), not a conflict to retry.
    const bool conflict = absl::IsAborted(status) && !SqlState(status).empty();
    const bool again = conflict || (!started && absl::IsUnavailable(status) && attempt == 1);
    if (!again || attempt >= std::max(1, options.max_attempts)) break;
    const int64_t ceiling_us = std::min<int64_t>(200'000, 2000 << attempt);
    std::this_thread::sleep_for(
        std::chrono::microseconds(std::uniform_int_distribution<int64_t>(500, ceiling_us)(jitter)));
  }
  if (pool.options().hooks.on_transaction) pool.options().hooks.on_transaction(absl::Now() - start, status);
  return status;
}

}  // namespace

absl::Status InTenant(Pool& pool, std::string_view tenant, const TxFunction& fn, const TxOptions& options) {
  if (tenant.empty()) return InvalidArgument("a tenant is needed");
  if (tenant.size() > kMaxTenantBytes)
    return InvalidArgument("the tenant's name has {} bytes; at most {}", tenant.size(), kMaxTenantBytes);
  return Run(pool, std::string(tenant), false, fn, options);
}

absl::Status AsService(Pool& pool, const TxFunction& fn, const TxOptions& options) {
  return Run(pool, "", true, fn, options);
}

}  // namespace vedette::storage
