// Datasets and series as the caller of one RPC may see them.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "table/table.h"

namespace vedette::feature_engine {

struct DatasetInfo {
  std::string id;
  int64_t rows = 0;
  table::Schema columns;
};

/// One per RPC: it acts with the caller's identity and deadline. Not thread-safe.
class DatasetSource {
 public:
  virtual ~DatasetSource() = default;
  /// NOT_FOUND, or FAILED_PRECONDITION unless READY.
  virtual absl::StatusOr<DatasetInfo> Describe(const std::string& dataset) = 0;
  using RowsSink = std::function<absl::Status(int64_t first_row, table::Table&& rows)>;
  /// Rows [first_row, first_row + row_count) in order, in runs of about 1 MiB; row_count > 0.
  virtual absl::Status Read(const std::string& dataset, int64_t first_row, int64_t row_count, const RowsSink& sink) = 0;
  using ValuesSink = std::function<absl::Status(std::span<const double> values)>;
  /// The observations of an entity's metric in [start, end), in order of time.
  virtual absl::Status ReadSeries(const std::string& entity, const std::string& metric, absl::Time start,
                                  absl::Time end, const ValuesSink& sink) = 0;
};

}  // namespace vedette::feature_engine
