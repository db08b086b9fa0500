// What is normal for a column or a series.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vedette::feature_engine {

struct Baseline {
  std::string id;
  std::string scope;   ///< "datasets/{id}" or "entities/{id}"
  std::string metric;  ///< a column's name, or "metrics/{id}"
  int64_t count = 0;
  double mean = 0;
  double standard_deviation = 0;  ///< with n - 1; 0 for a single value
  double median = 0;
  double median_absolute_deviation = 0;  ///< not scaled
  double minimum = 0;
  double maximum = 0;
  double percentile_5 = 0;
  double percentile_95 = 0;
  absl::Time valid_from = absl::InfinitePast();  ///< InfinitePast: not said
  absl::Time valid_to = absl::InfiniteFuture();  ///< InfiniteFuture: not said
  absl::Time create_time;
};

/// Collects values, NaN left out. Count, mean, deviation (Welford 1962), minimum and maximum are exact for any number
/// of values; median, MAD and percentiles (linear between order statistics) too, up to `max_values` values. Beyond that
/// they are those of a seeded uniform sample of max_values (Vitter 1985, algorithm R), whose quantile ranks are off by
/// about 0.5 / sqrt(max_values): 0.0005 at a million.
class BaselineBuilder {
 public:
  explicit BaselineBuilder(int64_t max_values, uint64_t seed = 42);
  ~BaselineBuilder();
  BaselineBuilder(BaselineBuilder&&) noexcept;

  void Add(std::span<const double> values);
  /// Fills the statistics. FAILED_PRECONDITION when there was no value at all.
  absl::Status Finish(Baseline* out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::feature_engine
