// Dates and times as text. Calendar arithmetic: days_from_civil / civil_from_days (Hinnant, "chrono-Compatible
// Low-Level Date Algorithms", 2013), here through the standard library's year_month_day.
#include <absl/strings/ascii.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "table/cell.h"

namespace vedette::table {
namespace {

constexpr int64_t kFirstSecond = -62135596800;  // 0001-01-01T00:00:00Z
constexpr int64_t kLastSecond = 253402300799;   // 9999-12-31T23:59:59Z

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// A cursor over the text; every Take* consumes on success only.
struct Cursor {
  std::string_view t;

  bool Take(char c) {
    if (t.empty() || t[0] != c) return false;
    t.remove_prefix(1);
    return true;
  }
  bool TakeAny(std::string_view set, char* c) {
    if (t.empty() || set.find(t[0]) == set.npos) return false;
    *c = t[0];
    t.remove_prefix(1);
    return true;
  }
  /// Between min and max digits, and no digit after them.
  bool Digits(size_t min, size_t max, int* value, size_t* count = nullptr) {
    size_t n = 0;
    int v = 0;
    while (n < t.size() && n < max && absl::ascii_isdigit(t[n])) v = v * 10 + (t[n++] - '0');
    if (n < min || (n < t.size() && absl::ascii_isdigit(t[n]))) return false;
    t.remove_prefix(n);
    *value = v;
    if (count != nullptr) *count = n;
    return true;
  }
  void Blanks() {
    while (!t.empty() && t[0] == ' ') t.remove_prefix(1);
  }
  /// An English month name, in full or its first three letters, with or without a full stop.
  bool Month(int* month) {
    constexpr std::string_view kNames[] = {"january", "february", "march",     "april",   "may",      "june",
                                           "july",    "august",   "september", "october", "november", "december"};
    size_t n = 0;
    while (n < t.size() && IsLetter(t[n])) ++n;
    if (n < 3) return false;
    for (int m = 0; m < 12; ++m) {
      const std::string_view name = kNames[m];
      const bool sept = m == 8 && n == 4;
      if (n != 3 && n != name.size() && !sept) continue;
      size_t i = 0;
      while (i < n && i < name.size() && absl::ascii_tolower(t[i]) == name[i]) ++i;
      if (i < n) continue;
      t.remove_prefix(n);
      Take('.');
      *month = m + 1;
      return true;
    }
    return false;
  }
};

struct Civil {
  int year = 0, month = 0, day = 1;
  bool month_only = false;
};

/// 2024-01-31 or 2024-01; the year has been read.
bool AfterYear(Cursor& c, Civil* date) {
  char separator = 0;
  if (!c.TakeAny("-/.", &separator) || !c.Digits(1, 2, &date->month)) return false;
  if (!c.Take(separator)) {
    date->month_only = separator != '.';
    return date->month_only;
  }
  return c.Digits(1, 2, &date->day);
}

/// 31.01.2024, 31/01/2024, 01/31/2024, 31 Jan 2024, 31-Jan-2024; the first number has been read.
bool AfterDay(Cursor& c, int first, DateOrder order, Civil* date) {
  char separator = 0;
  if (!c.TakeAny("-/. ", &separator)) return false;
  if (separator == '.') c.Blanks();
  if (!c.t.empty() && IsLetter(c.t[0])) {
    date->day = first;
    return c.Month(&date->month) && (c.Take(separator) || c.Take(' ') || c.Take(',')) && (c.Blanks(), true) &&
           c.Digits(4, 4, &date->year);
  }
  int second = 0;
  if (separator == ' ' || !c.Digits(1, 2, &second) || !c.Take(separator)) return false;
  if (separator == '.') c.Blanks();
  if (!c.Digits(4, 4, &date->year)) return false;
  const bool day_first = separator == '.' || order == DateOrder::kDayFirst;
  date->day = day_first ? first : second;
  date->month = day_first ? second : first;
  return true;
}

/// Jan 31, 2024
bool MonthFirstName(Cursor& c, Civil* date) {
  if (!c.Month(&date->month)) return false;
  c.Blanks();
  if (!c.Digits(1, 2, &date->day)) return false;
  c.Take(',');
  c.Blanks();
  return c.Digits(4, 4, &date->year);
}

/// Z, +02:00, +0200, +02; nothing is UTC.
bool Zone(Cursor& c, int* offset_seconds) {
  *offset_seconds = 0;
  if (c.t.empty() || c.Take('Z') || c.Take('z')) return true;
  if (c.t == "UTC" || c.t == "GMT") {
    c.t = {};
    return true;
  }
  char sign = 0;
  if (!c.TakeAny("+-", &sign) || c.t.size() < 2 || !absl::ascii_isdigit(c.t[0]) || !absl::ascii_isdigit(c.t[1]))
    return false;
  const int hours = (c.t[0] - '0') * 10 + (c.t[1] - '0');
  c.t.remove_prefix(2);
  int minutes = 0;
  c.Take(':');
  if (!c.t.empty() && !c.Digits(2, 2, &minutes)) return false;
  if (hours > 15 || minutes > 59) return false;
  *offset_seconds = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

/// HH:MM[:SS[.ffffff]] [AM|PM] [zone], to the end of the text: seconds since midnight UTC, and the fraction.
bool TimeOfDay(Cursor& c, int64_t* seconds, int64_t* micros) {
  int hour = 0, minute = 0, second = 0;
  int64_t fraction = 0;
  if (!c.Digits(1, 2, &hour) || !c.Take(':') || !c.Digits(2, 2, &minute)) return false;
  if (c.Take(':')) {
    if (!c.Digits(2, 2, &second)) return false;
    char mark = 0;
    if (c.TakeAny(".,", &mark)) {
      int64_t unit = 100000;
      size_t n = 0;
      for (; n < c.t.size() && absl::ascii_isdigit(c.t[n]); ++n, unit /= 10) fraction += unit * (c.t[n] - '0');
      if (n == 0) return false;
      c.t.remove_prefix(n);
    }
  }
  c.Blanks();
  if (c.t.size() >= 2 && (absl::ascii_tolower(c.t[0]) == 'a' || absl::ascii_tolower(c.t[0]) == 'p') &&
      absl::ascii_tolower(c.t[1]) == 'm') {
    if (hour < 1 || hour > 12) return false;
    hour = hour % 12 + (absl::ascii_tolower(c.t[0]) == 'p' ? 12 : 0);
    c.t.remove_prefix(2);
    c.Blanks();
  }
  int offset = 0;
  if (hour > 23 || minute > 59 || second > 60 || !Zone(c, &offset) || !c.t.empty()) return false;
  *seconds = static_cast<int64_t>(hour) * 3600 + minute * 60 + second - offset;
  *micros = fraction;
  return true;
}

}  // namespace

bool ParseTimestamp(std::string_view text, DateOrder order, double* seconds) {
  Cursor c{TrimBlanks(text)};
  if (c.t.size() < 6 || c.t.size() > 48) return false;
  Civil date;
  int number = 0;
  size_t count = 0;
  if (IsLetter(c.t[0])) {
    if (!MonthFirstName(c, &date)) return false;
  } else if (!c.Digits(1, 4, &number, &count)) {
    return false;
  } else if (count == 4) {
    date.year = number;
    if (!AfterYear(c, &date)) return false;
  } else if (count > 2 || !AfterDay(c, number, order, &date)) {
    return false;
  }
  int64_t of_day = 0, micros = 0;
  if (!c.t.empty()) {
    char separator = 0;
    c.Take(',');
    if (date.month_only || !c.TakeAny("Tt ", &separator)) return false;
    c.Blanks();
    if (!TimeOfDay(c, &of_day, &micros)) return false;
  }
  const std::chrono::year_month_day ymd{std::chrono::year(date.year),
                                        std::chrono::month(static_cast<unsigned>(date.month)),
                                        std::chrono::day(static_cast<unsigned>(date.day))};
  if (date.year < 1 || !ymd.ok()) return false;
  const int64_t days = std::chrono::sys_days(ymd).time_since_epoch().count();
  const int64_t whole = days * 86400 + of_day;
  if (whole < kFirstSecond || whole > kLastSecond) return false;
  *seconds = static_cast<double>(whole) + static_cast<double>(micros) / 1e6;
  return true;
}

std::string FormatTimestamp(double seconds) {
  if (!std::isfinite(seconds) || seconds < kFirstSecond || seconds >= static_cast<double>(kLastSecond) + 1) return {};
  const double floor = std::floor(seconds);
  const auto micros = static_cast<int64_t>(std::llround((seconds - floor) * 1e6));  // the difference is exact
  const std::chrono::sys_time<std::chrono::microseconds> time{
      std::chrono::microseconds(static_cast<int64_t>(floor) * 1000000 + micros)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day ymd(day);
  const int64_t rest = (time - day).count();
  const int64_t whole = rest / 1000000;
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(ymd.year()),
                                static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()), whole / 3600,
                                whole / 60 % 60, whole % 60);
  if (int64_t fraction = rest % 1000000; fraction != 0) {
    std::string digits = fmt::format(".{:06}", fraction);
    while (digits.back() == '0') digits.pop_back();
    out += digits;
  }
  return out + "Z";
}

}  // namespace vedette::table
