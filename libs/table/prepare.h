// From a table to a matrix: which columns, how missing values are filled, how categories become numbers, how
// columns are scaled. Fitted once on training data, then applied to any table with the same columns, in any batch
// size, with the same result per row. Saved inside a model.
//
//  numeric      missing and infinite values are imputed; then scaled. With the default options a column without missing
//               values passes through bit by bit.
//  categorical  one-hot (0/1, never scaled; a missing or unseen category is all zeros), or the category's share of the
//               training rows (missing: the share of missing; unseen: 0), or its number in order of first appearance
//               (missing: the most frequent; unseen: -1), or that number for algorithms that split on categories
//               (native: never scaled). With Imputation::kNone a missing category is NaN in the three latter.
//  timestamp    left out: a point in time grows without end, so every new row would be an outlier in it.
//  window       with a window of w rows (a shingle), a row is followed by the values of the w - 1 rows before it: all
//               features of lag 0, then all of lag 1... Rows must be of one series, in order of time. The first row
//               stands for those before it: as missing cells they would be far from all others, and an isolation
//               forest calls the first rows of every series odd. Fills, offsets and scales are the column's, for every
//               lag.
//  left out     columns without any value, identifiers (see drop_identifiers), ignored columns; notes() says which, and
//               why.
#pragma once

#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/matrix.h"
#include "table/table.h"

namespace vedette::table {

enum class Imputation { kMedian, kMean, kNone };     ///< kNone leaves NaN for algorithms that take it
enum class Encoding { kOneHot, kFrequency, kOrdinal, kNative };
enum class Scaling { kNone, kStandard, kRobust };    ///< z-score; (x - median) / IQR

inline constexpr int kMaxWindow = 1000;
inline constexpr int64_t kMaxWindowFeatures = 20000;  ///< features x window, as many as a table may have columns

struct PrepareOptions {
  std::vector<std::string> ignore_columns = {};  ///< a name that the table lacks is noted, not an error
  Imputation imputation = Imputation::kMedian;
  Encoding encoding = Encoding::kOneHot;
  int one_hot_max = 20;                ///< columns with more categories are frequency-encoded, for kOneHot and kNative
  Scaling scaling = Scaling::kNone;
  /// Leave out columns that look like row ids: text that differs in every row; whole numbers that grow by exactly 1 from
  /// row to row (8 rows or more); whole numbers that differ in every row under a name like id, order_id, index, row, nr.
  bool drop_identifiers = true;
  bool drop_constant = false;          ///< leave out columns with a single value (they are harmless to most algorithms)
  int window = 1;                      ///< rows that one row of the matrix tells of, [1, kMaxWindow]; 1: itself alone
};

/// What one feature (one column of the matrix) means, to say an anomaly's actual and expected value in the user's own
/// units, whatever was done to it.
struct Feature {
  std::string name;  ///< "price", or "colour=red" for one-hot; "price[-3]" and "colour[-3]=red" of lag 3
  std::string source_column;
  std::string category;       ///< for one-hot: the category that is 1
  double fill = 0;            ///< what a missing value became, unscaled; NaN when it stays missing
  double offset = 0;          ///< scaled = (unscaled - offset) / scale
  double scale = 1;
  int lag = 0;  ///< rows before the row that is told of
};

class Preparation {
 public:
  /// Decides from the training table. Errors: no usable column is left (says what happened to each); a window out of
  /// range, or too long for so many features.
  static absl::StatusOr<Preparation> Fit(const Table& table, const PrepareOptions& options);

  /// rows x features(). Columns are found by name; a missing one is an error naming it; unseen categories become the
  /// all-zero one-hot, frequency 0 or ordinal -1; extra columns are ignored. A numeric column where training had a
  /// categorical one is matched by its text ("7"); text where training had numbers is an error, unless all is missing.
  /// The first `context_rows` rows of the table are only history: they feed windows and give no row. A row gives the
  /// same bits in every table where the history() rows before it, or all that there are, come along.
  absl::StatusOr<Matrix> Apply(const Table& table, int64_t context_rows = 0) const;
  /// The same for these rows of the table alone, in the order given; the rows before each are its history.
  absl::StatusOr<Matrix> ApplyRows(const Table& table, std::span<const int64_t> rows) const;
  /// The columns that features are made of, in the order of schema() and with its types: Apply gives the same of them,
  /// with the same errors, and rows that came with other columns, or with columns in another order, can be put together.
  absl::StatusOr<Table> Select(const Table& table) const;
  /// Rows before a row that its features tell of: window - 1.
  int64_t history() const { return options_.window - 1; }

  const std::vector<Feature>& features() const { return features_; }
  /// Per feature: how many categories its numbers stand for where they are encoded as kNative, else 0.
  std::vector<int32_t> category_counts() const;
  /// The columns that features are made of, as needed to read further files with the same types (CsvOptions::schema).
  const Schema& schema() const { return schema_; }
  /// One line per column that was left out, and why.
  const std::vector<std::string>& notes() const { return notes_; }
  /// For a frequency-, ordinal- or native-encoded feature: the (first) training category whose number is `unscaled`, to 1e-9; "" when
  /// there is none, and for every other feature.
  std::string CategoryOf(int64_t feature, double unscaled) const;

  void Save(ByteWriter& out) const;
  static absl::StatusOr<Preparation> Load(ByteReader& in);

 private:
  /// How one column becomes features_[first, first + count).
  struct Source {
    ColumnType type = ColumnType::kNumeric;
    Encoding encoding = Encoding::kOneHot;  ///< of a categorical column
    int64_t first = 0;
    int64_t count = 0;
    std::vector<std::string> categories;  ///< seen in training, in order of first appearance
    std::vector<double> numbers;          ///< what each becomes: frequency or ordinal; empty for one-hot
  };
  struct Candidate;
  void AddNumeric(const Column& column);
  void AddCategorical(const Column& column, const Candidate& candidate);
  void SpreadLags();
  /// The table's column for each of schema_.
  absl::StatusOr<std::vector<const Column*>> ColumnsOf(const Table& table) const;
  absl::StatusOr<Matrix> ApplyColumns(const Table& table) const;
  absl::Status ApplySource(size_t s, const Column& column, Matrix* out) const;
  /// Matrix rows from the rows `at` of `base`, each a row of the table; the rows before it in `base` are those before
  /// it in the table.
  Matrix Windows(const Matrix& base, std::span<const int64_t> at) const;

  PrepareOptions options_;
  Schema schema_;
  std::vector<Source> sources_;  ///< one for each column of schema_
  std::vector<Feature> features_;  ///< of the columns, lag by lag
  int64_t columns_ = 0;            ///< features of one lag
  std::vector<std::string> notes_;
};

}  // namespace vedette::table
