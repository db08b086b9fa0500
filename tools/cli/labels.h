// The column that says which rows are known anomalies, for algorithms that learn from it.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "outlier/detector.h"
#include "table/table.h"

namespace vedette::cli {

/// 1, true, yes, anomaly...: an anomaly (or exactly `positive`, when that is not empty); 0, false, no, normal (with
/// `positive` any other value): a normal row; an empty cell: not known. Errors: no such column, with the nearest name; a
/// value that is neither; no row that is an anomaly.
absl::StatusOr<std::vector<outlier::Label>> ReadKnownLabels(const table::Table& table, const std::string& column,
                                                            const std::string& positive);

/// Whether a cell's text means anomaly: it equals `positive` or, when that is empty, is one of the usual words.
bool MeansAnomaly(std::string text, const std::string& positive);

}  // namespace vedette::cli
