// A tenant's daily tokens, counted by NATS for all services and replicas together.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "llm/limits.h"
#include "messaging/counters.h"

namespace vedette::platform {

/// A restart changes nothing of what is left of a day. Without an answer of NATS, within a second, nothing may be
/// spent; what could not be settled stays counted as it was taken.
class TokenBudget final : public llm::Budget {
 public:
  /// UNAVAILABLE, DEADLINE_EXCEEDED. `nats` outlives it.
  static absl::StatusOr<std::unique_ptr<TokenBudget>> Open(messaging::Connection& nats, long per_day);

  std::string Take(const std::string& tenant, long tokens, absl::Time when) override;
  void Settle(const std::string& tenant, long taken, long used, absl::Time when) override;

 private:
  TokenBudget(std::unique_ptr<messaging::Counters> counters, long per_day)
      : counters_(std::move(counters)), per_day_(per_day) {}
  const std::unique_ptr<messaging::Counters> counters_;
  const long per_day_;
};

}  // namespace vedette::platform
