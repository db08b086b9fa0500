// An uploaded table, and the chunks that it is kept in.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "table/table.h"

namespace vedette::ingest {

enum class DatasetState { kUploading, kReady, kFailed };

struct Dataset {
  std::string id;
  std::string display_name;
  DatasetState state = DatasetState::kUploading;
  int64_t row_count = 0;
  table::Schema columns;
  int64_t size_bytes = 0;
  int64_t bad_cell_count = 0;
  std::vector<table::BadCell> bad_cells;  ///< the first of them
  std::vector<std::string> notes;
  std::string error;
  absl::Time create_time;
  std::string sha256;
};

/// A run of rows in the object store. Chunks are numbered from 0 and follow each other without a gap.
struct Chunk {
  int64_t index = 0;
  int64_t first_row = 0;
  int64_t rows = 0;
  std::string key;
};

/// What the metadata of an upload says, checked.
struct UploadRequest {
  std::string display_name;
  std::string request_id;  ///< UUID or empty
  char delimiter = 0;      ///< 0: found by looking
};

/// One try to upload a dataset. A repeated request takes a dataset that was left unfinished over with a new attempt;
/// what an older attempt still does has no effect then.
struct UploadAttempt {
  std::string dataset_id;
  std::string attempt_id;

  /// Where this attempt keeps its chunks: "datasets/<tenant>/<dataset>/<attempt>".
  std::string Prefix(const std::string& tenant) const {
    return "datasets/" + tenant + "/" + dataset_id + "/" + attempt_id;
  }
};

}  // namespace vedette::ingest
