// What keeps a model from costing more than it gives: a circuit breaker, a daily budget, a cache. Breaker and cache are
// not thread-safe: the client holds its lock around them.
#pragma once

#include <absl/time/time.h>

#include <list>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "llm/text.h"

namespace vedette::llm {

/// Closed until `failures` in a row or one that only a person cures; then open for a while; then one call may try.
class Breaker {
 public:
  Breaker(int failures, absl::Duration cooldown, absl::Duration hard_cooldown)
      : limit_(failures), cooldown_(cooldown), hard_cooldown_(hard_cooldown) {}
  /// False: do not call. After true, exactly one of the three below follows.
  bool Allow(absl::Time now);
  void Succeeded();
  void Failed(absl::Time now, bool hard);
  /// The call said nothing about the server's health (cancelled, the caller's time was up).
  void Abandoned() { probing_ = false; }

 private:
  const int limit_;
  const absl::Duration cooldown_, hard_cooldown_;
  int failures_ = 0;
  bool open_ = false, probing_ = false;
  absl::Time until_;
};

inline constexpr char kOverBudget[] = "over_budget", kBudgetUnknown[] = "budget_unknown";

/// Tokens per tenant and UTC day. Thread-safe.
class Budget {
 public:
  virtual ~Budget() = default;
  /// Takes `tokens` of the day that `when` lies in. "", or why they were not taken: kOverBudget, or kBudgetUnknown
  /// where the count cannot be had (what may cost money is not done unseen).
  virtual std::string Take(const std::string& tenant, long tokens, absl::Time when) = 0;
  /// Corrects what was taken for `when` to what was used.
  virtual void Settle(const std::string& tenant, long taken, long used, absl::Time when) = 0;

  static int64_t DayOf(absl::Time when) { return absl::ToUnixSeconds(when) / 86400; }
};

/// Of this process alone, and forgotten with it.
class LocalBudget final : public Budget {
 public:
  explicit LocalBudget(long per_day) : per_day_(per_day) {}
  std::string Take(const std::string& tenant, long tokens, absl::Time when) override;
  void Settle(const std::string& tenant, long taken, long used, absl::Time when) override;

 private:
  /// Counted at once: a call may try again, or settle, after midnight, and then its own day still counts.
  static constexpr size_t kDays = 3;

  std::map<std::string, long>& UsedOn(int64_t day);

  const long per_day_;
  std::mutex mutex_;
  std::map<int64_t, std::map<std::string, long>> used_;  ///< by day
};

/// Answers that passed every check, least recently used out first.
class AnswerCache {
 public:
  AnswerCache(size_t entries, absl::Duration ttl) : entries_(entries), ttl_(ttl) {}
  const Json* Find(const std::string& key, absl::Time now);
  void Put(const std::string& key, Json answer, absl::Time now);

 private:
  struct Entry {
    std::string key;
    Json answer;
    absl::Time expires;
  };
  const size_t entries_;
  const absl::Duration ttl_;
  std::list<Entry> order_;  ///< most recent first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace vedette::llm
