// Numbers that describe a dataset, for model selection.
#pragma once

#include <cstdint>

#include "base/matrix.h"
#include "table/prepare.h"
#include "table/table.h"

namespace vedette::feature_engine {

/// Medians and means are over the numeric features that vary; 0 when there is none. Shares are in [0, 1].
struct DataProfile {
  int64_t rows = 0;
  int64_t features = 0;
  double missing_share = 0;         ///< of the cells of the columns that are used
  double categorical_share = 0;     ///< of the features, made from categories
  double median_abs_skewness = 0;   ///< third standardised moment
  double median_kurtosis = 0;       ///< fourth standardised moment minus 3: 0 for a normal distribution
  double mean_abs_correlation = 0;  ///< Pearson, over the pairs of at most 100 evenly spaced features
  double outlier_share = 0;         ///< cells beyond 3 robust standard deviations (1.4826 MAD) of columns with a MAD
};

/// `X` is preparation.Apply(table); without missing values.
DataProfile ProfileOf(const table::Table& table, const table::Preparation& preparation, MatrixView X);

}  // namespace vedette::feature_engine
