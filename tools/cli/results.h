// Scored rows, written as a table for people, as JSON or as CSV.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/recipe.h"
#include "explain/explanation.h"
#include "outlier/decision.h"
#include "outlier/model.h"

namespace vedette::cli {

extern const FlagGroup kResultFlags;  ///< --format --output --top-features --limit --all-rows --false-discovery-rate --rejection

struct ResultOptions {
  std::string format = "table";
  size_t top_features = 3;
  int64_t limit = 0;      ///< 0: no limit
  bool all_rows = false;  ///< not only the odd ones
  outlier::DecisionOptions decision;
};
ResultOptions ResultOptionsFrom(const Args& args);

/// What is known before the first row is written.
struct Header {
  std::string file;
  const outlier::Model* model = nullptr;
  table::Schema columns;   ///< of the file
  std::string reason;      ///< why this algorithm
  std::vector<outlier::Pick> picks;  ///< what `auto` weighed, best first; the first was taken
  std::string model_file;  ///< when it was loaded
  bool sampled = false;
  int64_t training_rows = 0;
  outlier::DecisionOptions decision = {};
  std::string order = "score";  ///< of the rows that follow: "score" (highest first) or "row_index"
};

/// What is known at the end.
struct Totals {
  int64_t rows = 0;
  int64_t anomalies = 0;
  int64_t rejected = 0;
  int64_t listed = 0;  ///< rows that the options ask for, --limit apart
  int64_t bad_cells = 0;
  int64_t written = 0;
};

struct ResultRow {
  int64_t row_index = 0;
  outlier::RowScore score;
  const explain::Explanation* explanation = nullptr;  ///< null for rows that are not odd
  const table::Table* table = nullptr;
  int64_t table_row = 0;
};

/// What a pick is expected to give and to cost, for this many rows: "expected ROC AUC 0.83, about 0.2 s".
std::string PickForecast(const outlier::Pick& pick, int64_t rows);

class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  virtual void Begin(const Header& header) = 0;
  virtual void Row(const ResultRow& row) = 0;
  virtual void End(const Header& header, const Totals& totals) = 0;
};
std::unique_ptr<ResultWriter> TableWriter(const ResultOptions& options, Output* out);
std::unique_ptr<ResultWriter> JsonWriter(const ResultOptions& options, Output* out);
std::unique_ptr<ResultWriter> CsvWriter(const ResultOptions& options, Output* out);

/// {feature_name, lag, actual_value, expected_value, contribution | reconstruction_error, share, direction}.
Json ContributionJson(const explain::Contribution& c, const std::string& space);
/// A cell as JSON: number, text, or null when missing.
Json CellJson(const table::Column& column, int64_t row);
/// "129 rows, 13 of 14 columns used" and the lines under it, wrapped: what the table shows above its rows.
std::vector<std::string> SummaryLines(const Header& header, const Totals& totals);

/// Explains these rows of a table that the model can prepare; those before them are their history. `indices`: what to
/// call them ("Row 12").
absl::StatusOr<std::vector<explain::Explanation>> ExplainRows(const outlier::Model& model, const table::Table& table,
                                                              std::span<const int64_t> rows,
                                                              std::span<const int64_t> indices,
                                                              std::span<const outlier::RowScore> scores,
                                                              const Context& ctx);

/// Scores everything in `input` and writes what the options ask for, most anomalous first. A file that did not fit in
/// memory is streamed again: then rows come in the file's order unless a limit keeps the highest few.
/// `trained_here`: the sample is the training set, so its scores are the training scores.
absl::Status WriteResults(const Args& args, const Session& session, const Input& input, const Sample& sample,
                          Header header, bool trained_here, const table::CsvOptions& csv);

}  // namespace vedette::cli
