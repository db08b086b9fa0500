#include "llm/assistant.h"

#include <algorithm>
#include <array>

namespace vedette::llm {
namespace {

constexpr std::string_view kOff = "off";

constexpr std::array<std::string_view, 28> kReasons = {"off",
                                                       "withheld",
                                                       "no_features",
                                                       "over_budget",
                                                       "budget_unknown",
                                                       "busy",
                                                       "circuit_open",
                                                       "timeout",
                                                       "cancelled",
                                                       "unreachable",
                                                       "auth",
                                                       "quota",
                                                       "model_not_found",
                                                       "rate_limited",
                                                       "retry_after_too_long",
                                                       "conflict",
                                                       "server_error",
                                                       "bad_request",
                                                       "context_length",
                                                       "malformed",
                                                       "empty",
                                                       "length",
                                                       "refusal",
                                                       "content_filter",
                                                       "not_json",
                                                       "schema",
                                                       "ungrounded",
                                                       "markup"};

}  // namespace

std::string_view OutcomeLabel(bool ok, bool cached, std::string_view reason) {
  if (ok) return cached ? "cache" : "llm";
  for (const std::string_view known : kReasons) {
    if (reason == known) return known;
  }
  return "other";
}

absl::Time AnswerBy(absl::Time deadline, absl::Time now) {
  if (deadline == absl::InfiniteFuture()) return deadline;
  return deadline - std::min(absl::Seconds(2), std::max(deadline - now, absl::ZeroDuration()) / 4);
}

const Privacy& Assistant::PrivacyOf(const std::string& tenant) const {
  const auto it = tenants_.find(tenant);
  return it == tenants_.end() ? others_ : it->second;
}

void Assistant::Note(std::string_view use, bool ok, bool cached, std::string_view reason) const {
  if (account_) account_(use, OutcomeLabel(ok, cached, reason));
}

Wording Assistant::Word(const std::string& tenant, const WordingInput& input, absl::Time deadline,
                        std::stop_token stop) {
  Wording w{.degraded_reason = std::string(kOff)};
  if (on()) w = llm::Word(*client_, tenant, input, PrivacyOf(tenant), deadline, stop);
  Note("wording", w.ok, w.cached, w.degraded_reason);
  return w;
}

TriageVerdict Assistant::Triage(const std::string& tenant, const TriageInput& input, absl::Time deadline,
                                std::stop_token stop) {
  TriageVerdict v{.degraded_reason = std::string(kOff)};
  if (on()) v = llm::Triage(*client_, tenant, input, PrivacyOf(tenant), deadline, stop);
  Note("triage", v.ok, v.cached, v.degraded_reason);
  return v;
}

Reranked Assistant::Rerank(const std::string& tenant, const RerankInput& input, absl::Time deadline,
                           std::stop_token stop) {
  Reranked r{.degraded_reason = std::string(kOff)};
  if (on()) r = llm::Rerank(*client_, tenant, input, deadline, stop);
  Note("rerank", r.ok, r.cached, r.degraded_reason);
  return r;
}

}  // namespace vedette::llm
