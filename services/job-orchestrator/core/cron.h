// Five-field cron expressions (POSIX crontab), in UTC.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <bitset>
#include <string_view>

namespace vedette::job_orchestrator {

/// minute hour day-of-month month day-of-week; each *, a number, a list, a range, or either with /step. Day of week 0-7
/// (0 and 7 are Sunday). When both days are restricted, either matches, as cron has always done.
class Cron {
 public:
  /// INVALID_ARGUMENT names the field and what is wrong with it, also when no date can ever match ("0 0 31 2 *").
  static absl::StatusOr<Cron> Parse(std::string_view expression);
  /// The first matching minute strictly after `after`.
  absl::Time Next(absl::Time after) const;

 private:
  bool DayMatches(const absl::CivilDay& day) const;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<8> weekdays_;
  bool any_day_ = false;
  bool any_weekday_ = false;
};

}  // namespace vedette::job_orchestrator
