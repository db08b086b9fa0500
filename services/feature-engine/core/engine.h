// Fits recipes and applies them; learns baselines.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "services/feature-engine/core/baseline.h"
#include "services/feature-engine/core/feature_set.h"
#include "services/feature-engine/core/profile.h"
#include "services/feature-engine/ports/baseline_store.h"
#include "services/feature-engine/ports/dataset_source.h"
#include "services/feature-engine/ports/feature_set_store.h"

namespace vedette::feature_engine {

struct EngineOptions {
  int64_t max_fit_cells = 20'000'000;  ///< a recipe is fitted on a sample of the rows of a larger dataset
  int64_t profile_rows = 20'000;
  int64_t message_bytes = 512 << 10;  ///< about how much is handed to the sink at once
  int64_t context_bytes = 32 << 20;   ///< history up to so much goes along with the rows: messages have at most 64 MiB
};

struct FeatureQuery {
  std::string feature_set;
  std::string dataset;  ///< empty: the one that the feature set was fitted on
  int64_t first_row = 0;
  int64_t row_count = 0;    ///< 0: to the end
  int64_t sample_rows = 0;  ///< positive: so many rows of the range, in row order
  uint64_t seed = 0;
  bool include_table = false;
  std::vector<std::string> table_columns = {};  ///< only these of the table; empty: all
};

struct FeatureHeader {
  std::string feature_set;
  int64_t dataset_rows = 0;
  int64_t cols = 0;
  std::string preparation;
};

struct FeatureRows {
  std::vector<int64_t> row_index;
  Matrix values;
  std::optional<table::Table> table;
  /// Rows just before these, in the first of a range that has some. More than EngineOptions::context_bytes of them come
  /// before, in pieces without any rows of the range. With the table's columns; cells of those that no feature is made
  /// of are missing.
  std::optional<table::Table> context = {};
  int64_t context_first = 0;  ///< row of the dataset that the context begins with
};

/// What StreamFeatures gives: the header once, then rows in order. An error ends the stream and is returned.
struct FeatureSink {
  std::function<absl::Status(const FeatureHeader&)> header;
  std::function<absl::Status(FeatureRows&&)> rows;
};

/// Thread-safe. Each call reads datasets through the source it is given, as its caller.
class Engine {
 public:
  Engine(FeatureSetStore* feature_sets, BaselineStore* baselines, EngineOptions options = {})
      : feature_sets_(feature_sets), baselines_(baselines), options_(options) {}

  /// Errors: NOT_FOUND, FAILED_PRECONDITION (the dataset is not READY), INVALID_ARGUMENT (an ignored column that the
  /// dataset lacks; no usable column is left).
  absl::StatusOr<FeatureSet> CreateFeatureSet(const std::string& tenant, const std::string& dataset,
                                              const table::PrepareOptions& options, DatasetSource& source,
                                              const Context& context) const;
  /// Errors: NOT_FOUND, INVALID_ARGUMENT (a negative number; a dataset that lacks a column), OUT_OF_RANGE.
  absl::Status StreamFeatures(const std::string& tenant, const FeatureQuery& query, DatasetSource& source,
                              const Context& context, const FeatureSink& sink) const;
  /// Of at most profile_rows rows, drawn at random with a fixed seed; `rows` is the dataset's.
  absl::StatusOr<DataProfile> Profile(const std::string& dataset, DatasetSource& source, const Context& context) const;
  /// wanted: scope, metric and period. Errors: NOT_FOUND, INVALID_ARGUMENT (no such column, or not a numeric one),
  /// FAILED_PRECONDITION (no value).
  absl::StatusOr<Baseline> CreateBaseline(const std::string& tenant, Baseline wanted, const std::string& request_id,
                                          DatasetSource& source, const Context& context) const;

 private:
  absl::StatusOr<table::Table> ReadSample(const DatasetInfo& info, int64_t max_rows, DatasetSource& source,
                                          const Context& context, std::vector<std::string>* row_numbers) const;

  FeatureSetStore* feature_sets_;
  BaselineStore* baselines_;
  EngineOptions options_;
};

}  // namespace vedette::feature_engine
