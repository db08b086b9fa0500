#include "services/ingest/core/dataset_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status.h"
#include "services/ingest/core/chunk_codec.h"
#include "table/rows.h"

namespace vedette::ingest {

absl::Status DatasetReader::Read(const std::string& tenant, const std::string& id, int64_t first_row, int64_t row_count,
                                 const std::vector<std::string>& columns, const Context& context,
                                 const RowsSink& sink) const {
  if (first_row < 0 || row_count < 0) return InvalidArgument("first_row and row_count must not be negative");
  ASSIGN_OR_RETURN(const Dataset dataset, datasets_->Get(tenant, id));
  if (dataset.state != DatasetState::kReady) return FailedPrecondition("dataset {} is not READY", id);
  if (first_row > dataset.row_count) {
    return absl::OutOfRangeError(
        fmt::format("row {} is beyond the {} rows of dataset {}", first_row, dataset.row_count, id));
  }
  const int64_t left = dataset.row_count - first_row;
  const int64_t count = row_count == 0 ? left : std::min(row_count, left);
  if (count == 0) return absl::OkStatus();

  ASSIGN_OR_RETURN(const std::vector<Chunk> chunks, datasets_->Chunks(tenant, id, first_row, count));
  const int64_t end = first_row + count;
  int64_t next = first_row;
  for (const Chunk& chunk : chunks) {
    RETURN_IF_ERROR(context.Check());
    if (chunk.first_row > next || chunk.first_row + chunk.rows <= next) break;  // a gap; reported below
    absl::StatusOr<std::string> bytes = blobs_->Get(chunk.key, kMaxChunkBytes);
    if (absl::IsNotFound(bytes.status())) return DataLoss("chunk {} of dataset {} is missing", chunk.index, id);
    RETURN_IF_ERROR(bytes.status());
    absl::StatusOr<table::Table> rows = DecodeChunk(*bytes);
    RETURN_IF_ERROR(Annotate(rows.status(), fmt::format("chunk {} of dataset {}", chunk.index, id)));
    if (rows->rows() != chunk.rows) return DataLoss("chunk {} of dataset {} has other rows", chunk.index, id);
    if (!columns.empty()) {
      std::erase_if(rows->columns, [&](const table::Column& c) {
        return std::find(columns.begin(), columns.end(), c.name) == columns.end();
      });
      if (rows->columns.empty()) return InvalidArgument("dataset {} has none of the columns", id);
    }
    const int64_t stop = std::min(end, chunk.first_row + chunk.rows);
    RETURN_IF_ERROR(Emit(*rows, chunk.first_row, next - chunk.first_row, stop - chunk.first_row, context, sink));
    next = stop;
  }
  if (next != end) return DataLoss("rows from {} on of dataset {} are missing", next, id);
  return absl::OkStatus();
}

absl::Status DatasetReader::Emit(const table::Table& rows, int64_t first_row, int64_t begin, int64_t end,
                                 const Context& context, const RowsSink& sink) const {
  // Every message repeats the columns' names: very wide tables get larger messages rather than more names than rows.
  int64_t head = 0;
  for (const table::Column& column : rows.columns) head += static_cast<int64_t>(column.name.size()) + 16;
  const int64_t budget = std::max(message_bytes_ - head, 3 * head);
  const int64_t per_row = std::max<int64_t>(1, table::TableBytes(rows) / std::max<int64_t>(1, rows.rows()));
  const int64_t step = std::max<int64_t>(1, budget / per_row);
  for (int64_t at = begin; at < end; at += step) {
    RETURN_IF_ERROR(context.Check());
    RETURN_IF_ERROR(sink(first_row + at, table::SliceRows(rows, at, std::min(step, end - at))));
  }
  return absl::OkStatus();
}

}  // namespace vedette::ingest
