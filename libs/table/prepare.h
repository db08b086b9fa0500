// From a table to a matrix: which columns, how missing values are filled, how categories become numbers, how
// columns are scaled. Fitted once on training data, then applied to any table with the same columns, in any batch
// size, with the same result per row. Saved inside a model.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/matrix.h"
#include "table/table.h"

namespace vedette::table {

enum class Imputation { kMedian, kMean, kNone };     ///< kNone leaves NaN for algorithms that take it
enum class Encoding { kOneHot, kFrequency, kOrdinal };
enum class Scaling { kNone, kStandard, kRobust };    ///< z-score; (x - median) / IQR

struct PrepareOptions {
  std::vector<std::string> ignore_columns = {};
  Imputation imputation = Imputation::kMedian;
  Encoding encoding = Encoding::kOneHot;
  int one_hot_max = 20;                ///< columns with more categories are frequency-encoded
  Scaling scaling = Scaling::kNone;
  bool drop_identifiers = true;        ///< leave out columns that look like row ids (all distinct text, or 1, 2, 3...)
};

/// What one feature (one column of the matrix) means, to say an anomaly's actual and expected value in the user's own
/// units, whatever was done to it.
struct Feature {
  std::string name;           ///< "price", or "colour=red" for one-hot
  std::string source_column;
  std::string category;       ///< for one-hot: the category that is 1
  double fill = 0;            ///< what a missing value became, unscaled
  double offset = 0;          ///< scaled = (unscaled - offset) / scale
  double scale = 1;
};

class Preparation {
 public:
  /// Decides from the training table. Errors: no usable column is left (says what happened to each).
  static absl::StatusOr<Preparation> Fit(const Table& table, const PrepareOptions& options);

  /// rows x features(). Columns are found by name; a missing one is an error naming it; unseen categories become the
  /// all-zero one-hot, frequency 0 or ordinal -1; extra columns are ignored.
  absl::StatusOr<Matrix> Apply(const Table& table) const;

  const std::vector<Feature>& features() const { return features_; }
  /// Columns of the training table, as needed to read further files with the same types.
  const Schema& schema() const { return schema_; }
  /// One line per column that was left out, and why.
  const std::vector<std::string>& notes() const { return notes_; }

  void Save(ByteWriter& out) const;
  static absl::StatusOr<Preparation> Load(ByteReader& in);

 private:
  std::vector<Feature> features_;
  Schema schema_;
  std::vector<std::string> notes_;
  PrepareOptions options_;
  /// Per source column: categories seen in training with their counts (for encodings).
  struct Dictionary {
    std::string column;
    std::vector<std::string> categories;
    std::vector<int64_t> counts;
  };
  std::vector<Dictionary> dictionaries_;
};

}  // namespace vedette::table
