#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "table/prepare.h"
#include "table/table.h"

namespace vedette::detector {

struct FeatureSet {
  std::string name;  ///< featureSets/{feature_set}
  int32_t version = 0;
  std::vector<std::string> features;
};

struct FeatureQuery {
  std::string feature_set;
  std::string dataset;
  int64_t first_row = 0;
  int64_t row_count = 0;    ///< 0: to the end
  int64_t sample_rows = 0;  ///< positive: at most so many rows of the range, drawn by seed
  uint64_t seed = 0;
  bool include_table = false;
  std::vector<std::string> table_columns = {};  ///< only these of the table; empty: all
};

struct FeatureBlock {
  int64_t dataset_rows = 0;
  table::Preparation preparation;
  std::vector<int64_t> row_index;
  Matrix features;     ///< one row for each of row_index
  table::Table table;  ///< the same rows, when they were asked for, after those of their history
  int64_t context_rows = 0;  ///< of the table, the first: only history
};

/// feature-engine, as one caller sees it.
class FeatureSource {
 public:
  virtual ~FeatureSource() = default;
  virtual absl::StatusOr<FeatureSet> Create(const std::string& dataset, const table::PrepareOptions& options) = 0;
  virtual absl::StatusOr<FeatureBlock> Read(const FeatureQuery& query) = 0;
};

}  // namespace vedette::detector
