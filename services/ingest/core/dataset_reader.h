// Gives the rows of a stored dataset back.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "services/ingest/core/dataset.h"
#include "services/ingest/ports/blob_store.h"
#include "services/ingest/ports/dataset_store.h"

namespace vedette::ingest {

/// Gets a run of rows and the index of its first one within the dataset. An error ends the reading and is returned.
using RowsSink = std::function<absl::Status(int64_t first_row, table::Table&& rows)>;

/// Thread-safe.
class DatasetReader {
 public:
  /// message_bytes: about how large a run handed to the sink may be.
  DatasetReader(DatasetStore* datasets, BlobStore* blobs, int64_t message_bytes = 900 << 10)
      : datasets_(datasets), blobs_(blobs), message_bytes_(message_bytes) {}

  /// Rows [first_row, first_row + row_count), in order; row_count 0: to the end; a range that ends beyond the dataset
  /// is cut. Only `columns` of them, unless that is empty; those that the dataset does not have are left out. Errors:
  /// NOT_FOUND; FAILED_PRECONDITION unless READY; INVALID_ARGUMENT for a negative range or when no column is left;
  /// OUT_OF_RANGE when it begins beyond the end; DATA_LOSS when a chunk is missing or damaged. first_row = row count
  /// gives no rows.
  absl::Status Read(const std::string& tenant, const std::string& id, int64_t first_row, int64_t row_count,
                    const std::vector<std::string>& columns, const Context& context, const RowsSink& sink) const;

 private:
  absl::Status Emit(const table::Table& rows, int64_t first_row, int64_t begin, int64_t end, const Context& context,
                    const RowsSink& sink) const;
  DatasetStore* datasets_;
  BlobStore* blobs_;
  int64_t message_bytes_;
};

}  // namespace vedette::ingest
