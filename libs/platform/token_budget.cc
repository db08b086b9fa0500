#include "platform/token_budget.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/status.h"
#include "runtime/log.h"

namespace vedette::platform {
namespace {

/// A tenant's name may hold what a key may not.
std::string CounterOf(const std::string& tenant, absl::Time when) {
  return fmt::format("{}.{}", llm::Budget::DayOf(when), Sha256Hex(tenant));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenBudget>> TokenBudget::Open(messaging::Connection& nats, long per_day) {
  ASSIGN_OR_RETURN(auto counters, messaging::Counters::Open(&nats, {.bucket = "llm_tokens"}));
  return std::unique_ptr<TokenBudget>(new TokenBudget(std::move(counters), per_day));
}

std::string TokenBudget::Take(const std::string& tenant, long tokens, absl::Time when) {
  const absl::Status taken = counters_->Add(CounterOf(tenant, when), tokens, per_day_).status();
  if (taken.ok()) return "";
  if (absl::IsResourceExhausted(taken)) return llm::kOverBudget;
  runtime::LogWarning("the language model is not asked: what is left of the day's tokens is not known",
                      {{"error", Message(taken)}});
  return llm::kBudgetUnknown;
}

void TokenBudget::Settle(const std::string& tenant, long taken, long used, absl::Time when) {
  if (used == taken) return;
  const absl::Status settled = counters_->Add(CounterOf(tenant, when), used - taken).status();
  if (settled.ok()) return;
  runtime::LogWarning("tokens that were not used stay counted",
                      {{"tenant", tenant}, {"tokens", taken - used}, {"error", Message(settled)}});
}

}  // namespace vedette::platform
