// What a table is like, in a few numbers that do not depend on its units: what the model selection compares tables by.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/matrix.h"
#include "table/prepare.h"
#include "table/table.h"

namespace vedette::outlier {

/// Shares are in [0, 1].
struct DataProfile {
  int64_t rows = 0;
  int64_t features = 0;          ///< columns of the prepared matrix
  double missing_share = 0;      ///< of the cells of the columns that are used
  double categorical_share = 0;  ///< of the features, made from categories
  double discrete_share = 0;     ///< of the numeric features, with at most 20 distinct values
  double skewness = 0;           ///< median over features of |Bowley skewness| (Q3 + Q1 - 2 Q2) / (Q3 - Q1), [0, 1]
  double skewness_upper = 0;     ///< third quartile of the same
  double kurtosis = 0;           ///< median of Moors' kurtosis (octiles), 1.23 of a normal law; at most 20
  double correlation = 0;        ///< mean |correlation| of pairs of features (at most 50 features)
  double dimension = 0;          ///< intrinsic dimension by PCA's participation ratio, as a share of the features
  double outlier_share = 0;      ///< of the cells, beyond 3.5 robust deviations
  double trend = 0;              ///< median over features of |correlation with the row's number|
  double seasonality = 0;        ///< median over features of the largest autocorrelation at lags 2 to 60, from 0
  double disagreement = 0;       ///< of a global and a local detector on a sample: (1 - rank correlation) / 2
};

/// Profiles a prepared training matrix. At most 20 000 evenly spaced rows are looked at, the landmarks on 1000 of them, so
/// it stays cheap. NaN are left out.
DataProfile ProfileOf(const table::Table& table, const table::Preparation& preparation, MatrixView X);
/// The same for a matrix of numbers.
DataProfile ProfileOf(MatrixView X);

/// The numbers that are compared, and their names, in one order.
std::vector<double> MetaFeatures(const DataProfile& profile);
std::vector<std::string_view> MetaFeatureNames();

}  // namespace vedette::outlier
