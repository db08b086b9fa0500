// Tables on the wire: table::Table <-> vedette.common.v1.TableChunk, and the options of a preparation. Every service that
// sends or takes rows converts them here, so that all agree on what a message may hold.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>

#include "table/prepare.h"
#include "table/table.h"
#include "vedette/common/v1/common.pb.h"

namespace vedette::wire {

/// Columnar copy; each categorical column brings the part of its dictionary that its rows use.
void ToProto(int64_t first_row, const table::Table& rows, common::v1::TableChunk* out);

/// INVALID_ARGUMENT names the column: lengths that differ from `rows`, a code outside its dictionary, an unknown type, a
/// name that is empty or comes twice.
absl::StatusOr<table::Table> FromProto(const common::v1::TableChunk& chunk);

common::v1::ColumnType ToProto(table::ColumnType type);

/// Empty fields keep the defaults; `scaling_default` is what an empty scaling means here. INVALID_ARGUMENT names every
/// unknown word, and a window out of range, at once.
absl::StatusOr<table::PrepareOptions> FromProto(const common::v1::PrepareOptions& options,
                                                table::Scaling scaling_default = table::Scaling::kNone);

}  // namespace vedette::wire
