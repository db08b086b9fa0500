// A dataset as a row of table `datasets`.
#pragma once

#include <string>
#include <string_view>

#include "services/ingest/core/dataset.h"
#include "storage/sql.h"

namespace vedette::ingest {

/// What DatasetOf needs, in SQL.
inline constexpr std::string_view kDatasetColumns =
    "id, display_name, state, row_count, columns, size_bytes, bad_cell_count, bad_cells, notes, error, sha256, "
    "create_time";

Dataset DatasetOf(const storage::Row& row);
/// jsonb of the lists. Texts lose what jsonb cannot hold (zero bytes) or what is not UTF-8 (a cut character).
std::string ColumnsToJson(const table::Schema& columns);
std::string BadCellsToJson(const std::vector<table::BadCell>& cells);
/// The same for text.
std::string CleanText(std::string_view text);

}  // namespace vedette::ingest
