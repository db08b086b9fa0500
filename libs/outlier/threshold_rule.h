// Where a threshold comes from when no share of odd rows is given: rules that look at the training scores. One rule, one
// file thresholds/NAME.cc with its descriptor t_NAME; CMake writes the list, as for algorithms.
#pragma once

#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <string_view>

#include "outlier/params.h"

namespace vedette::outlier {

struct ThresholdDescriptor {
  std::string_view name;
  std::string_view summary;  ///< one sentence: what it assumes, and when it fails
  std::string_view paper;
  std::span<const ParamSpec> params;  ///< the first may be given without its name: "mad:3"
  /// The threshold: rows with a greater score are anomalous. `sorted`: ascending, finite, not empty, below 1e150 in
  /// magnitude (unless raw). Errors: INVALID_ARGUMENT when the scores do not allow one.
  absl::StatusOr<double> (*find)(std::span<const double> sorted, const ParamSet& params);
  bool raw = false;  ///< wants the scores as they are: a parameter is in their units
};

/// Sorted by name.
std::span<const ThresholdDescriptor* const> AllThresholds();

/// A rule with its parameters: "NAME", "NAME:VALUE" (of the first parameter) or "NAME:param=value:param=value".
class ThresholdRule {
 public:
  /// Errors: NOT_FOUND with the nearest name; INVALID_ARGUMENT for a parameter.
  static absl::StatusOr<ThresholdRule> Parse(std::string_view text);

  /// Finite; at most the largest double. Scores: ascending, finite, not empty.
  absl::StatusOr<double> Find(std::span<const double> sorted) const;
  const ThresholdDescriptor& descriptor() const { return *descriptor_; }
  /// Canonical: every parameter by name; Parse reads it back.
  std::string Text() const;

 private:
  ThresholdRule(const ThresholdDescriptor* descriptor, ParamSet params)
      : descriptor_(descriptor), params_(std::move(params)) {}

  const ThresholdDescriptor* descriptor_;
  ParamSet params_;
};

}  // namespace vedette::outlier
