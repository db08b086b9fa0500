#include "services/job-orchestrator/core/cron.h"

#include <absl/strings/str_split.h>
#include <absl/time/civil_time.h>

#include <charconv>
#include <string>
#include <vector>

#include "base/status.h"

namespace vedette::job_orchestrator {
namespace {

struct Bounds {
  std::string_view name;
  int lo, hi;
};

bool ParseInt(std::string_view text, int* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// One comma-separated part: "*", "7", "1-5", each with an optional "/2".
template <size_t N>
absl::Status AddPart(std::string_view part, const Bounds& b, std::bitset<N>* out) {
  int step = 1;
  const size_t slash = part.find('/');
  std::string_view range = part.substr(0, slash);
  if (slash != std::string_view::npos && (!ParseInt(part.substr(slash + 1), &step) || step < 1)) {
    return InvalidArgument("cron {}: '{}' has a step that is not a positive number", b.name, part);
  }
  int lo = b.lo, hi = b.hi;
  if (range != "*") {
    const size_t dash = range.find('-');
    if (!ParseInt(range.substr(0, dash), &lo)) return InvalidArgument("cron {}: '{}' is not a number", b.name, part);
    hi = slash == std::string_view::npos ? lo : b.hi;
    if (dash != std::string_view::npos && !ParseInt(range.substr(dash + 1), &hi)) {
      return InvalidArgument("cron {}: '{}' is not a range", b.name, part);
    }
  }
  if (lo < b.lo || hi > b.hi || lo > hi) {
    return InvalidArgument("cron {}: '{}' is not within {}-{}", b.name, part, b.lo, b.hi);
  }
  for (int i = lo; i <= hi; i += step) out->set(static_cast<size_t>(i));
  return absl::OkStatus();
}

template <size_t N>
absl::Status ParseField(const std::string& field, const Bounds& b, std::bitset<N>* out) {
  const std::vector<std::string> parts = absl::StrSplit(field, ',');
  for (const std::string& part : parts) RETURN_IF_ERROR(AddPart(part, b, out));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Cron> Cron::Parse(std::string_view expression) {
  if (expression.size() > 200) return InvalidArgument("cron: longer than 200 characters");
  const std::string text(expression);
  const std::vector<std::string> f = absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (f.size() != 5) {
    return InvalidArgument("cron '{}' has {} fields; five are needed: minute hour day-of-month month day-of-week", text,
                           f.size());
  }
  Cron c;
  RETURN_IF_ERROR(ParseField(f[0], {"minute", 0, 59}, &c.minutes_));
  RETURN_IF_ERROR(ParseField(f[1], {"hour", 0, 23}, &c.hours_));
  RETURN_IF_ERROR(ParseField(f[2], {"day of month", 1, 31}, &c.days_));
  RETURN_IF_ERROR(ParseField(f[3], {"month", 1, 12}, &c.months_));
  RETURN_IF_ERROR(ParseField(f[4], {"day of week", 0, 7}, &c.weekdays_));
  if (c.weekdays_[7]) c.weekdays_.set(0);
  c.any_day_ = f[2] == "*";
  c.any_weekday_ = f[4] == "*";
  if (c.Next(absl::UnixEpoch()) == absl::InfiniteFuture()) return InvalidArgument("cron '{}' never matches", text);
  return c;
}

bool Cron::DayMatches(const absl::CivilDay& day) const {
  if (!months_[static_cast<size_t>(day.month())]) return false;
  // absl counts weekdays from Monday = 0; cron from Sunday = 0.
  const auto weekday = static_cast<size_t>((static_cast<int>(absl::GetWeekday(day)) + 1) % 7);
  const bool by_day = days_[static_cast<size_t>(day.day())], by_weekday = weekdays_[weekday];
  if (any_day_ || any_weekday_) return by_day && by_weekday;
  return by_day || by_weekday;
}

absl::Time Cron::Next(absl::Time after) const {
  const absl::TimeZone utc = absl::UTCTimeZone();
  absl::CivilMinute start = absl::ToCivilMinute(after, utc) + 1;
  absl::CivilDay day(start);
  // A leap day on a given weekday comes back within 40 years; beyond that nothing will.
  for (int i = 0; i < 366 * 41; ++i, ++day) {
    if (!DayMatches(day)) continue;
    const bool first_day = day == absl::CivilDay(start);
    for (int h = first_day ? start.hour() : 0; h < 24; ++h) {
      if (!hours_[static_cast<size_t>(h)]) continue;
      for (int m = first_day && h == start.hour() ? start.minute() : 0; m < 60; ++m) {
        if (!minutes_[static_cast<size_t>(m)]) continue;
        return absl::FromCivil(absl::CivilMinute(day.year(), day.month(), day.day(), h, m), utc);
      }
    }
  }
  return absl::InfiniteFuture();
}

}  // namespace vedette::job_orchestrator
