// Scores of rows that are put together from two others: what Shapley values of any score are made of. Where a score
// comes from sums over columns, these sums are shared by thousands of such rows.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"

namespace vedette::outlier {

/// Coalition `mask` against background row b: the row's values on the columns of every player whose bit is set in the
/// mask, b's values on all others.
struct CoalitionRows {
  std::span<const double> row;
  MatrixView background;                      ///< n x d, n >= 1, finite like the row
  std::vector<std::vector<int64_t>> players;  ///< distinct columns; one that nobody names keeps the background's value
};

class CoalitionScorer {
 public:
  virtual ~CoalitionScorer() = default;
  /// scores[m * n + b] = the score of masks[m] against background row b: the bits that Detector::Score gives that row,
  /// at any thread count. Thread-safe. Errors: CANCELLED, DEADLINE_EXCEEDED.
  virtual absl::Status Score(std::span<const uint64_t> masks, std::span<double> scores, const Context& ctx) const = 0;
};

/// Implemented beside Detector where it pays; found by dynamic_cast.
class CoalitionSource {
 public:
  virtual ~CoalitionSource() = default;
  /// Prepared for one row and background: keeps references to the detector and to the views in `rows`, and at most some
  /// tens of megabytes. Null where scoring the rows themselves is as fast, or is all there is.
  virtual std::unique_ptr<CoalitionScorer> Coalitions(const CoalitionRows& rows) const = 0;
};

}  // namespace vedette::outlier
