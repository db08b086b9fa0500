// How scored rows become findings, where that is more than being above the threshold.
#pragma once

#include <absl/status/status.h>

#include <span>

#include "outlier/model.h"

namespace vedette::outlier {

struct DecisionOptions {
  /// In (0, 1): a row is a finding when Benjamini and Hochberg's procedure says so, over the rows that are decided
  /// together, at this expected share of false ones (ScoreScale::Discoveries). 0: when its score is above the
  /// threshold.
  double false_discovery_rate = 0;
  /// T > 0: rows whose label another training set would change with probability exp(-T) or more are marked as rejected,
  /// for a person to decide (ScoreScale::Rejects; the paper takes 32). 0: none is.
  double rejection_tolerance = 0;
};

/// INVALID_ARGUMENT names the option that is out of range.
absl::Status Check(const DecisionOptions& options);

/// Sets anomaly, severity and rejected of rows that the model has scored. A finding below the threshold is of low
/// severity.
void Decide(const ScoreScale& scale, const DecisionOptions& options, std::span<RowScore> rows);

}  // namespace vedette::outlier
