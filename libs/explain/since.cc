#include "explain/since.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "explain/words.h"

namespace vedette::explain {
namespace {

/// Years 1 to 9999: what has a usual way to be written.
constexpr double kFirst = -62135596800, kLast = 253402300799;

std::string When(absl::Time t) {
  const absl::TimeZone utc = absl::UTCTimeZone();
  const absl::CivilSecond s = absl::ToCivilSecond(t, utc);
  if (s.second() != 0) return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", t, utc);
  if (s.minute() != 0 || s.hour() != 0) return absl::FormatTime("%Y-%m-%d %H:%M UTC", t, utc);
  return absl::FormatTime("%Y-%m-%d", t, utc);
}

absl::Time TimeOf(double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

}  // namespace

std::string SinceSentence(const OffSince& since) {
  const bool table = since.who.empty();
  const std::string_view reading = table ? "row" : "reading";
  std::string text =
      fmt::format("{} has been off since {}", table ? "The table" : SafeText(since.who), When(since.start));
  if (since.last_normal == absl::InfinitePast()) {
    text += fmt::format(", its first {}", reading);
    return since.readings == 1 ? text + "." : fmt::format("{} ({} in a row).", text, FormatCount(since.readings));
  }
  if (since.readings == 1) {
    return fmt::format("{}: the {} before, of {}, was normal.", text, reading, When(since.last_normal));
  }
  return fmt::format("{}, {} {}s in a row; the last normal one was of {}.", text, FormatCount(since.readings), reading,
                     When(since.last_normal));
}

void Timeline::Add(int64_t row, std::string_view who, std::string_view metric, double seconds) {
  if (row < 0 || !(seconds >= kFirst && seconds <= kLast) || (entities_ && who.empty() && metric.empty())) return;
  const auto key = std::pair(std::string(who), std::string(metric));
  const auto [it, fresh] = index_.emplace(key, series_.size());
  if (fresh) {
    const bool both = !who.empty() && !metric.empty();
    std::string name = both ? fmt::format("{} ({})", who, metric) : fmt::format("{}{}", who, metric);
    series_.push_back({.who = std::move(name), .readings = {}});
  }
  series_[it->second].readings.push_back({seconds, row});
  const auto at = static_cast<size_t>(row);
  if (place_.size() <= at) place_.resize(at + 1, {0, std::numeric_limits<double>::quiet_NaN()});
  place_[at] = {static_cast<uint32_t>(it->second), seconds};
}

void Timeline::Finish() {
  for (Series& s : series_) {
    std::sort(s.readings.begin(), s.readings.end(), [](const Reading& a, const Reading& b) {
      return a.seconds != b.seconds ? a.seconds < b.seconds : a.row < b.row;
    });
    const auto twice = std::adjacent_find(s.readings.begin(), s.readings.end(),
                                          [](const Reading& a, const Reading& b) { return a.seconds == b.seconds; });
    if (twice != s.readings.end()) ordered_ = false;
  }
  index_.clear();
}

std::optional<OffSince> Timeline::Since(int64_t row, const std::function<bool(int64_t)>& odd) const {
  if (row < 0 || row >= static_cast<int64_t>(place_.size()) || (!entities_ && !ordered_)) return std::nullopt;
  const auto [index, seconds] = place_[static_cast<size_t>(row)];
  if (std::isnan(seconds)) return std::nullopt;
  const std::vector<Reading>& readings = series_[index].readings;
  OffSince out{.who = series_[index].who, .start = TimeOf(seconds)};
  // Backwards, one point in time after the other, from the last row of this one's.
  auto before = std::lower_bound(readings.begin(), readings.end(), seconds,
                                 [](const Reading& r, double t) { return r.seconds < t; });
  while (before != readings.begin()) {
    const double t = std::prev(before)->seconds;
    bool off = false;
    for (; before != readings.begin() && std::prev(before)->seconds == t; --before) off |= odd(std::prev(before)->row);
    if (!off) {
      out.last_normal = TimeOf(t);
      break;
    }
    out.start = TimeOf(t);
    ++out.readings;
  }
  return out;
}

}  // namespace vedette::explain
