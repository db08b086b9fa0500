// Every way of explaining a model's verdict on one row, behind one interface and found by name.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "explain/counterfactual.h"
#include "explain/explanation.h"
#include "explain/prepared_model.h"
#include "outlier/model.h"
#include "table/table.h"

namespace vedette::explain {

/// Bounds in the column's own unit; infinite: none.
struct AllowedRange {
  std::string column;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

struct MethodOptions {
  std::string mode;                       ///< one of the method's modes; empty: its first
  int64_t samples = 0;                    ///< coalitions or draws; 0: 2048 and 5000
  std::vector<std::string> frozen;  ///< source columns that a counterfactual may not change; earlier rows it never does
  std::vector<AllowedRange> ranges = {};  ///< of the values that it may give numeric source columns
  int64_t background_rows = 0;            ///< rows of the model's background that are used, evenly spaced; 0: all
};

/// What a method says of one row. Positive = pushes towards anomalous, always.
struct MethodResult {
  std::string method, mode;
  std::string explained;   ///< the output that is explained: "anomaly score", "log2(anomaly score)", "path length"
  std::string space;       ///< what contributions add up to or measure, in words
  std::string background;  ///< id of the rows that stood for "absent"; empty when none did
  int64_t background_rows = 0;
  std::vector<double> contributions;   ///< per player, see SourceColumns
  std::vector<double> standard_error;  ///< per player; empty when the method has none
  bool additive = false;               ///< expected + sum of contributions should be the output
  double expected = 0;                 ///< with `additive`: the output that nothing known gives
  double output = 0;                   ///< with `additive`: the row's
  double additivity_error = 0;         ///< with `additive`: |expected + sum - output|
  bool exact = false;
  bool cut_short = false;                        ///< the deadline ended the sampling early: later it may be better
  std::optional<double> r2;                      ///< LIME's fit
  bool flat = false;                             ///< LIME: the score hardly changes near the row, see LimeFit::flat
  std::vector<std::string> warnings;             ///< why it should be read with care
  std::optional<Counterfactual> counterfactual;  ///< players are those of SourceColumns
};

/// Columns of the user's table that the model uses, each at every lag of its window, in order of first use (all of lag
/// 0 first), with their features of the matrix: the players.
struct SourceColumns {
  std::vector<std::string> names;
  std::vector<int> lags;
  std::vector<std::vector<int64_t>> features;
  size_t per_lag = 0;  ///< players of one lag; those of every lag come in the same order

  /// The player; size of names where there is none.
  size_t Find(std::string_view name, int lag) const;
};
SourceColumns SourceColumnsOf(const outlier::Model& model);

/// The rows that stand for "absent": the model's background, or `rows` of it, evenly spaced.
Matrix BackgroundOf(const outlier::Model& model, int64_t rows = 0);
/// "bg-" and 16 hexadecimal digits of their SHA-256: fixed with the model.
std::string BackgroundId(const outlier::Model& model, int64_t rows = 0);

struct Method {
  std::string_view name;
  std::string_view summary;  ///< one sentence: what it says and when to use it
  std::string_view modes;    ///< "a|b", the first is the default; empty: none
  /// X: one row of the model's matrix, checked. Errors: FAILED_PRECONDITION when the method does not fit this model,
  /// naming why; those of the method.
  absl::StatusOr<MethodResult> (*run)(const PreparedModel& model, MatrixView X, const MethodOptions& options,
                                      const Context& ctx);
};
std::span<const Method> Methods();
/// "tree_shap" for an isolation forest, else "kernel_shap".
std::string_view ShapMethodFor(const outlier::Model& model);
/// NOT_FOUND with the list.
absl::StatusOr<const Method*> FindMethod(std::string_view name);

/// Runs a method on a row that the model's preparation made. The seed of what is drawn comes from ctx.seed and the row,
/// so that the same request gives the same bits. Errors: INVALID_ARGUMENT for the row's shape or values, an unknown
/// mode or column, or numbers out of range; those of Method::run.
absl::StatusOr<MethodResult> RunMethod(const PreparedModel& model, MatrixView X, const Method& method,
                                       const MethodOptions& options, const Context& ctx);
/// The same for a single row: nothing is kept for the next.
absl::StatusOr<MethodResult> RunMethod(const outlier::Model& model, MatrixView X, const Method& method,
                                       const MethodOptions& options, const Context& ctx);

/// Where the fit learned from the row and scored it without itself (Descriptor::own_training_scores), `score` is not what
/// the same row scores as a new one, which is what every method but the native one explains: says so, for their warnings;
/// empty where the two agree.
absl::StatusOr<std::string> ScoredAsNew(const outlier::Model& model, MatrixView X, const outlier::RowScore& score,
                                        const Context& ctx);

/// The fewest changes that make the row normal by this model's threshold, towards its background. Where rows have
/// windows, only the row itself is changed: those before it are facts. INVALID_ARGUMENT for a column that the model
/// does not use, and a range that is empty or of a column without numbers.
absl::StatusOr<Counterfactual> CounterfactualOf(const outlier::Model& model, MatrixView X, const MethodOptions& options,
                                                const Context& ctx);

/// The method's numbers in words: contributions replaced, everything else as Explain's.
/// `table`: the row as cells, its last, after those of its history; or null. `subject`: "Row 12".
absl::StatusOr<Explanation> ExplainWith(const outlier::Model& model, MatrixView X, const MethodResult& result,
                                        const outlier::RowScore& score, std::string subject, const table::Table* table,
                                        const Context& ctx);

/// One changed column of a counterfactual, as the cells would say it.
struct Change {
  std::string feature, from, to;
};
absl::StatusOr<std::vector<Change>> ChangesOf(const outlier::Model& model, MatrixView X,
                                              const Counterfactual& counterfactual, const table::Table* table,
                                              const Context& ctx);

}  // namespace vedette::explain
