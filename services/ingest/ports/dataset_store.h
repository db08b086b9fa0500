// Datasets as they are asked for.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "services/ingest/core/dataset.h"

namespace vedette::ingest {

/// A List request: filter in the language of AIP-160; the token as the last page gave it.
struct ListQuery {
  int page_size = 50;
  std::string page_token;
  std::string filter;
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_page_token;
};

/// Thread-safe.
class DatasetStore {
 public:
  virtual ~DatasetStore() = default;
  /// NOT_FOUND also for another tenant's.
  virtual absl::StatusOr<Dataset> Get(const std::string& tenant, const std::string& id) = 0;
  /// Newest first.
  virtual absl::StatusOr<Page<Dataset>> List(const std::string& tenant, const ListQuery& query) = 0;
  /// NOT_FOUND. Its objects are to be removed; an upload that is still going on ends with ABORTED.
  virtual absl::Status Delete(const std::string& tenant, const std::string& id) = 0;
  /// Those that hold a row of [first_row, first_row + row_count), in order.
  virtual absl::StatusOr<std::vector<Chunk>> Chunks(const std::string& tenant, const std::string& id, int64_t first_row,
                                                    int64_t row_count) = 0;
};

}  // namespace vedette::ingest
