// Since when something has been off: the run of anomalous readings, without a normal one between them, that ends with a
// row.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vedette::explain {

/// A run of anomalous readings.
struct OffSince {
  std::string who;       ///< whose readings, as its column names it: "shop-7"; empty: the table's rows
  absl::Time start;      ///< of the first one
  int64_t readings = 1;  ///< points in time, at least 1
  absl::Time last_normal = absl::InfinitePast();  ///< the reading before the run; InfinitePast: there is none
};

/// "shop-7 has been off since 2024-03-09 05:00 UTC, 3 readings in a row; the last normal one was of 2024-03-09 00:00
/// UTC."
std::string SinceSentence(const OffSince& since);

/// The rows of a table in order of time, each in the series of its entity and metric. Built once, then read from any
/// thread.
class Timeline {
 public:
  /// `entities`: the table says which entity (or metric) a row belongs to. Without that its rows are one series only if
  /// no two have the same time: else nothing is known of their order.
  explicit Timeline(bool entities) : entities_(entities) {}

  /// A row of a table (0, 1, 2...), by seconds since 1970-01-01 UTC; rows whose time is missing (not finite) are left
  /// out. `who` may be empty: rows that name no entity belong to no series where others do.
  void Add(int64_t row, std::string_view who, std::string_view metric, double seconds);
  /// After the last Add.
  void Finish();

  /// The run that ends with `row`, which is anomalous; `odd` says which other rows are. A point in time counts as
  /// anomalous when one of its rows is. Nothing when the row has no place in order of time.
  std::optional<OffSince> Since(int64_t row, const std::function<bool(int64_t)>& odd) const;

 private:
  struct Reading {
    double seconds;
    int64_t row;
  };
  struct Series {
    std::string who;
    std::vector<Reading> readings;  ///< by time after Finish
  };
  const bool entities_;
  bool ordered_ = true;  ///< the table's rows are one series, if it names no entities
  std::map<std::pair<std::string, std::string>, size_t, std::less<>> index_;
  std::vector<Series> series_;
  std::vector<std::pair<uint32_t, double>> place_;  ///< of each row: its series and time; NaN: it has no place
};

}  // namespace vedette::explain
