#include "llm/limits.h"

#include <algorithm>
#include <iterator>

namespace vedette::llm {

bool Breaker::Allow(absl::Time now) {
  if (!open_) return true;
  if (now < until_ || probing_) return false;
  probing_ = true;
  return true;
}

void Breaker::Succeeded() {
  failures_ = 0;
  open_ = probing_ = false;
}

void Breaker::Failed(absl::Time now, bool hard) {
  ++failures_;
  probing_ = false;
  if (!hard && !open_ && failures_ < limit_) return;
  open_ = true;
  until_ = std::max(until_, now + (hard ? hard_cooldown_ : cooldown_));
}

std::map<std::string, long>& LocalBudget::UsedOn(int64_t day) {
  std::map<std::string, long>& counts = used_[day];
  // The farthest goes, not the earliest: after a clock that ran ahead was set right, its day must not stay.
  if (used_.size() > kDays)
    used_.erase(day - used_.begin()->first >= used_.rbegin()->first - day ? used_.begin() : std::prev(used_.end()));
  return counts;
}

std::string LocalBudget::Take(const std::string& tenant, long tokens, absl::Time when) {
  const std::scoped_lock lock(mutex_);
  long& used = UsedOn(DayOf(when))[tenant];
  if (used + tokens > per_day_) return kOverBudget;
  used += tokens;
  return "";
}

void LocalBudget::Settle(const std::string& tenant, long taken, long used, absl::Time when) {
  const std::scoped_lock lock(mutex_);
  if (const auto day = used_.find(DayOf(when)); day != used_.end()) day->second[tenant] += used - taken;
}

const Json* AnswerCache::Find(const std::string& key, absl::Time now) {
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return nullptr;
  if (it->second->expires <= now) {
    order_.erase(it->second);
    by_key_.erase(it);
    return nullptr;
  }
  order_.splice(order_.begin(), order_, it->second);
  return &it->second->answer;
}

void AnswerCache::Put(const std::string& key, Json answer, absl::Time now) {
  if (entries_ == 0) return;
  if (const auto it = by_key_.find(key); it != by_key_.end()) {
    order_.erase(it->second);
    by_key_.erase(it);
  }
  order_.push_front({key, std::move(answer), now + ttl_});
  by_key_[key] = order_.begin();
  if (order_.size() > entries_) {
    by_key_.erase(order_.back().key);
    order_.pop_back();
  }
}

}  // namespace vedette::llm
