// A model: preparation + fitted detector + score scale. The unit that is saved, cached, served and explained, the same
// bytes on the command line and on the platform.
#pragma once

#include <absl/status/statusor.h>

#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "outlier/detector.h"
#include "outlier/registry.h"
#include "outlier/threshold.h"
#include "table/prepare.h"
#include "table/table.h"

namespace vedette::outlier {

/// Where the training rows lie in a table that may be scored again.
struct TrainingSource {
  std::string table = {};           ///< any name that stands for it for ever; empty: not known
  std::vector<int64_t> rows = {};   ///< of the table, ascending, one for each row of the fit; empty: all of them, in order
};

struct FitOptions {
  std::string algorithm;                       ///< a name of the catalog
  std::map<std::string, std::string> params;   ///< as the user gave them
  double contamination = 0.1;
  std::string threshold = {};                  ///< a rule (ThresholdRule::Parse) instead of contamination
  std::vector<Label> labels = {};              ///< one per row for algorithms that need labels, else empty
  TrainingSource source = {};
};

/// One scored row.
struct RowScore {
  double score = 0;
  double probability = 0;
  double confidence = 0;
  bool anomaly = false;
  Severity severity = Severity::kNone;
  bool rejected = false;  ///< better left to a person; set by Decide (decision.h) alone
};

/// One feature's part in a row's score, in the user's own units.
struct FeatureContribution {
  std::string feature;      ///< source column
  int lag = 0;              ///< so many rows before the row is what `actual` tells of; above 0 only with a window of rows
  double contribution = 0;  ///< positive pushes towards anomalous
  double share = 0;         ///< of the positive contributions, [0, 1]
  double actual = 0;        ///< NaN when missing or not a number
  double expected = 0;      ///< NaN when not a number
  std::string actual_text;  ///< what the cell says (category or number)
  std::string expected_text;
  /// Share of the background that the value is above, ties by half, [0, 100]; NaN where there is no number or no background.
  double percentile = std::numeric_limits<double>::quiet_NaN();
  /// Parts of the contribution from above and from below, as Attribution's; NaN where they are not told apart, for categories
  /// and for missing cells.
  double high = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();
};

class Model {
 public:
  static constexpr size_t kAll = std::numeric_limits<size_t>::max();

  /// Fits on a matrix that `preparation` made. Identity (algorithm, parameters, seed) is kept in the model. Errors:
  /// NOT_FOUND for the algorithm; INVALID_ARGUMENT for parameters, contamination, no rows, or a value that is infinite or,
  /// unless the algorithm takes them, NaN (names feature and row); CANCELLED; DEADLINE_EXCEEDED.
  static absl::StatusOr<std::unique_ptr<Model>> Fit(const Catalog& catalog, const FitOptions& options,
                                                    table::Preparation preparation, MatrixView X, const Context& ctx);

  /// Scores rows of a matrix that this model's preparation made. Thread-safe.
  absl::StatusOr<std::vector<RowScore>> Score(MatrixView X, const Context& ctx) const;
  /// Scores rows `rows` of `table` (ascending, one for each row of X): those that the model was fitted on (FitOptions::source)
  /// as they scored then, also after Parse; the others as new ones. For algorithms that leave a training row out of what it
  /// is compared with, the first is what the fit said of it, and the latter finds the row itself. Thread-safe.
  absl::StatusOr<std::vector<RowScore>> ScoreRowsOf(std::string_view table, std::span<const int64_t> rows, MatrixView X,
                                                    const Context& ctx) const;
  /// The scored training rows, in order (empty after Load).
  std::vector<RowScore> TrainingRows() const;
  /// For each row of X: the `most` source columns at their lags with the largest contributions, largest first; the parts of
  /// a one-hot column are added up, shares are of all columns. With `table` actual values are what the cells say, without
  /// it what the matrix says: row i of X is the table's row i, or its row rows[i] where `rows` is not empty, and the rows
  /// before it in the table are its history; its first row stands for those that are not there. `space` gets what contributions add up to or measure. Falls back to robust z-scores against the
  /// background when the algorithm has no native attribution (space says so). Thread-safe.
  absl::StatusOr<std::vector<std::vector<FeatureContribution>>> Explain(MatrixView X, const Context& ctx,
                                                                        std::string* space = nullptr,
                                                                        const table::Table* table = nullptr,
                                                                        std::span<const int64_t> rows = {},
                                                                        size_t most = kAll) const;
  /// How many columns at their lags Explain tells of.
  size_t ExplainedColumns() const;
  /// The same contributions as matrices, rows x features of the preparation, in the units of the matrix.
  absl::StatusOr<Attribution> Attribute(MatrixView X, const Context& ctx) const;

  /// Moves the threshold to another contamination in (0, 0.5]; see ScoreScale::WithContamination. Not thread-safe.
  absl::Status SetContamination(double contamination);

  const Descriptor& descriptor() const { return *descriptor_; }
  const Detector& detector() const { return *detector_; }
  const ScoreScale& scale() const { return scale_; }
  const table::Preparation& preparation() const { return preparation_; }
  const std::map<std::string, std::string>& params() const { return params_; }
  int64_t training_rows() const { return training_rows_; }
  uint64_t seed() const { return seed_; }
  /// Up to 100 training rows that are not anomalous, drawn by seed: the background of explanations.
  const Matrix& background() const { return background_; }

  /// "VDTM", version, sections, SHA-256 of all before it. Parse checks everything and never runs anything from the file:
  /// any damage is DATA_LOSS, an algorithm that the catalog lacks NOT_FOUND. Parameters are those of fitting.
  std::string Serialize() const;
  static absl::StatusOr<std::unique_ptr<Model>> Parse(const Catalog& catalog, std::string_view bytes);

 private:
  absl::Status CheckInput(MatrixView X) const;
  absl::Status ReadTrainingScores(ByteReader& in);
  absl::Status KeepBackground(MatrixView X);
  void FindTypical(MatrixView X);
  /// Features that are one number for the category of a text column (frequency or ordinal).
  std::vector<bool> CodedCategories() const;
  void DescribePlace(const Attribution& parts, MatrixView X, int64_t row, std::span<const size_t> place,
                     const std::vector<bool>& coded, FeatureContribution& out) const;
  void Describe(size_t feature, bool coded, double actual, double expected, FeatureContribution& out) const;
  RowScore RowOf(double score) const;
  /// Which training row a row of the source is; -1: none.
  int64_t PlaceInTraining(int64_t row) const;

  const Descriptor* descriptor_ = nullptr;
  std::map<std::string, std::string> params_;
  std::unique_ptr<Detector> detector_;
  ScoreScale scale_;
  table::Preparation preparation_;
  Matrix background_;
  /// Per feature, unscaled: the share of rows of a one-hot category, the commonest number of another category, else the median.
  std::vector<double> typical_;
  int64_t training_rows_ = 0;
  uint64_t seed_ = 0;
  /// Kept where the algorithm has scores of its own for training rows and their table is known.
  TrainingSource source_;
  std::vector<double> training_scores_;
};

}  // namespace vedette::outlier
