// Measuring an algorithm against known labels: quality, seconds and memory.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "outlier/detector.h"
#include "outlier/metrics.h"
#include "table/table.h"

namespace vedette::cli {

/// What is measured on: features as numbers, and labels that the algorithm never sees.
struct LabelledData {
  Matrix X;
  /// Where there are categories or missing cells: the same columns for algorithms that take them as they are.
  Matrix native;
  std::vector<int32_t> categories;  ///< of native's columns, as Detector::FitMixed wants them
  std::vector<uint8_t> labels;     ///< 1 = anomaly
  std::vector<std::string> notes;  ///< what had to be done to the columns beyond taking their numbers
};

struct LabelOptions {
  std::string column;
  std::string positive;  ///< the value that means anomaly; "": 1, true, yes, anomaly, outlier...
  std::vector<std::string> ignore_columns;
  std::string scaling = "none";  ///< none, standard, robust
  int window = 1;
};

/// Numeric columns are taken bit for bit: no scaling unless asked for, constants and identifiers kept. Only a table
/// with categories or missing cells, or with windows, is prepared (one-hot, median; as they are for algorithms that
/// take them), which the notes say. Errors: no such column (with the nearest name), a row without a label, a label that
/// is neither of two values.
absl::StatusOr<LabelledData> SplitLabels(const table::Table& table, const LabelOptions& options);

/// One line of the result. Seconds are medians over repeats, quality the mean (a random algorithm takes seed, seed + 1,
/// ...), peak_rss_bytes the largest resident set of the process while it ran.
struct Measurement {
  std::string algorithm;
  int64_t rows = 0;
  int64_t features = 0;
  outlier::RankingMetrics quality;
  double fit_seconds = 0, score_seconds = 0;          ///< wall
  double fit_cpu_seconds = 0, score_cpu_seconds = 0;  ///< all threads of the process
  int64_t peak_rss_bytes = 0;
};

/// Fits on X without labels; quality is that of the training scores; scoring is timed on the same rows as new ones.
/// Algorithms that need labels: stratified cross-validation in 5 folds (fewer when there are fewer anomalies), quality of the
/// scores that each row gets from the fit that saw neither it nor its label; seconds to fit are those of one fold.
absl::StatusOr<Measurement> Measure(const outlier::Descriptor& descriptor, const outlier::ParamSet& params,
                                    const LabelledData& data, int repeat, const Context& ctx);

}  // namespace vedette::cli
