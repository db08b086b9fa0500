#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/context.h"
#include "outlier/model.h"
#include "services/detector/core/engine.h"

namespace vedette::detector {

/// Explains the anomalous rows among `scores`. features and table hold the same rows, the table after `context_rows` of
/// their history; row_index names each row.
absl::StatusOr<std::vector<Found>> ExplainAnomalies(const outlier::Model& model, MatrixView features,
                                                    const table::Table& table, std::span<const int64_t> row_index,
                                                    std::span<const outlier::RowScore> scores, int top_features,
                                                    const Context& ctx, std::string* space, int64_t context_rows = 0);

}  // namespace vedette::detector
