// Which algorithm suits a table: what `auto` means. One rule, in one place, that can say why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "table/prepare.h"
#include "table/table.h"

namespace vedette::outlier {

/// What the rule looks at. Shares are in [0, 1].
struct DataProfile {
  int64_t rows = 0;
  int64_t features = 0;          ///< columns of the prepared matrix
  double missing_share = 0;      ///< of the cells of the columns that are used
  double categorical_share = 0;  ///< of the features, made from categories
  double discrete_share = 0;     ///< of the numeric features, with at most 20 distinct values
  double skewness = 0;           ///< median over features of |Bowley skewness| (Q3 + Q1 - 2 Q2) / (Q3 - Q1), [0, 1]
};

/// Profiles a prepared training matrix. At most 20 000 evenly spaced rows are looked at, so it stays cheap.
DataProfile ProfileOf(const table::Table& table, const table::Preparation& preparation, MatrixView X);

struct Selection {
  std::string algorithm;                ///< a name of the catalog
  std::string reason;                   ///< one sentence, without the name: "1,831 rows and 21 columns: ..."
  std::vector<std::string> candidates;  ///< best first, algorithm included
};

/// The rule. Grounds: over 19 public sets (the ADBench ones of `vedette evaluate`'s comparison) isolation forest has
/// the highest mean ROC AUC of the single algorithms with their defaults (0.831; mcd 0.824, hbos 0.802, copod 0.796,
/// ecod 0.788, knn 0.775 standardised), and it needs no scaling; Bouman et al. (JMLR 2024) agree for global anomalies.
/// Below some dozens of rows its subsamples have nothing to isolate from, and a single column needs no forest.
Selection Select(const DataProfile& profile);

}  // namespace vedette::outlier
