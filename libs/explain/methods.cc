#include "explain/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/hash.h"
#include "base/status.h"
#include "explain/forest_methods.h"
#include "explain/integrated_gradients_method.h"
#include "explain/lime.h"
#include "explain/method_parts.h"
#include "explain/prepared_model.h"
#include "explain/shapley.h"
#include "explain/words.h"
#include "outlier/coalitions.h"
#include "outlier/forest_view.h"

namespace vedette::explain {
namespace {

constexpr int64_t kDefaultCoalitions = 2048;
constexpr int64_t kDefaultDraws = 5000;
constexpr std::string_view kScoreSpace = "anomaly score, added up from that of the background";

std::vector<double> RowOf(MatrixView X) {
  std::vector<double> row;
  for (int64_t j = 0; j < X.cols; ++j) row.push_back(X(0, j));
  return row;
}

ScoreFn ScoreOf(const outlier::Model& model) {
  return [&model](MatrixView X, std::span<double> scores, const Context& ctx) {
    return model.detector().Score(X, scores, ctx);
  };
}

absl::StatusOr<MethodResult> RunNative(const PreparedModel& prepared, MatrixView X, const MethodOptions&,
                                       const Context& ctx) {
  const outlier::Model& model = prepared.model();
  ASSIGN_OR_RETURN(const outlier::Attribution parts, model.Attribute(X, ctx));
  MethodResult out;
  out.explained = "anomaly score";
  out.space = parts.space;
  out.contributions = BySource(model, parts.contributions);
  return out;
}

/// Per player the 95th percentile of the size of its native part among the background rows; at least a
/// thousandth of the mean of these, so that what never varied there does not drown the rest.
std::vector<double> UsualParts(const outlier::Model& model, MatrixView parts) {
  std::vector<double> usual;
  double mean = 0;
  for (const auto& features : SourceColumnsOf(model).features) {
    std::vector<double> sizes;
    for (int64_t i = 0; i < parts.rows; ++i) {
      double sum = 0;
      for (const int64_t j : features) sum += parts(i, j);
      sizes.push_back(std::fabs(sum));
    }
    const auto place = sizes.begin() + static_cast<int64_t>(0.95 * static_cast<double>(sizes.size() - 1));
    std::nth_element(sizes.begin(), place, sizes.end());
    usual.push_back(*place);
    mean += *place;
  }
  mean /= static_cast<double>(usual.size());
  const double least = mean > 0 && std::isfinite(mean) ? mean / 1000 : 1;
  for (double& u : usual) u = std::max(u, least);
  return usual;
}

/// A reconstruction error, say, is larger in some columns than in others for every row.
absl::StatusOr<MethodResult> RunNativeStandardized(const PreparedModel& prepared, MatrixView X,
                                                   const MethodOptions& options, const Context& ctx) {
  const outlier::Model& model = prepared.model();
  RETURN_IF_ERROR(NeedBackground(model));
  ASSIGN_OR_RETURN(const outlier::Attribution parts, model.Attribute(X, ctx));
  ASSIGN_OR_RETURN(const outlier::Attribution others,
                   model.Attribute(BackgroundOf(model, options.background_rows), ctx));
  MethodResult out = Against(model, options, "anomaly score", "");
  out.space = fmt::format("{}, in units of its 95th percentile among the background", parts.space);
  out.contributions = BySource(model, parts.contributions);
  const std::vector<double> usual = UsualParts(model, others.contributions);
  for (size_t c = 0; c < usual.size(); ++c) out.contributions[c] /= usual[c];
  return out;
}

absl::StatusOr<MethodResult> FromShapley(const outlier::Model& model, MatrixView X, const MethodOptions& options,
                                         const Context& ctx,
                                         absl::StatusOr<ShapleyValues> (*solve)(const Game&, int64_t, const Context&)) {
  RETURN_IF_ERROR(NeedBackground(model));
  const Game game{ScoreOf(model), RowOf(X), BackgroundOf(model, options.background_rows),
                  SourceColumnsOf(model).features, dynamic_cast<const outlier::CoalitionSource*>(&model.detector())};
  ASSIGN_OR_RETURN(ShapleyValues values, solve(game, options.samples > 0 ? options.samples : kDefaultCoalitions, ctx));
  MethodResult out = Against(model, options, "anomaly score", kScoreSpace);
  out.contributions = std::move(values.phi);
  out.standard_error = std::move(values.standard_error);
  out.expected = values.expected;
  out.output = values.output;
  out.exact = values.exact;
  out.cut_short = values.cut_short;
  if (values.cut_short)
    out.warnings.push_back(fmt::format("the deadline allowed {} coalitions only", values.coalitions));
  CheckSum(&out);
  return out;
}

absl::StatusOr<MethodResult> RunExact(const PreparedModel& prepared, MatrixView X, const MethodOptions& options,
                                      const Context& ctx) {
  const outlier::Model& model = prepared.model();
  return FromShapley(model, X, options, ctx,
                     [](const Game& game, int64_t, const Context& c) { return ExactShapley(game, c); });
}

absl::StatusOr<MethodResult> RunKernelShap(const PreparedModel& prepared, MatrixView X, const MethodOptions& options,
                                           const Context& ctx) {
  const outlier::Model& model = prepared.model();
  const auto solve = [](const Game& game, int64_t samples, const Context& c) {
    return KernelShap(game, {.coalitions = samples}, c);
  };
  return FromShapley(model, X, options, ctx, solve);
}

/// A column whose categories the algorithm splits on as they are; "" when there is none.
std::string CategoriesAsTheyAre(const outlier::Model& model) {
  const std::vector<int32_t> counts = model.preparation().category_counts();
  for (size_t f = 0; f < counts.size(); ++f) {
    if (counts[f] > 0) return model.preparation().features()[f].source_column;
  }
  return "";
}

absl::StatusOr<MethodResult> RunLime(const PreparedModel& prepared, MatrixView X, const MethodOptions& options,
                                     const Context& ctx) {
  const outlier::Model& model = prepared.model();
  RETURN_IF_ERROR(NeedBackground(model));
  if (const std::string column = CategoriesAsTheyAre(model); !column.empty()) {
    return FailedPrecondition(
        "lime draws numbers near the row, but column '{}' holds categories as they are; kernel_shap "
        "explains every algorithm",
        column);
  }
  LimeOptions lime;
  lime.samples = options.samples > 0 ? options.samples : kDefaultDraws;
  lime.mode = options.mode == "quartile"      ? LimeMode::kQuartile
              : options.mode == "around_mean" ? LimeMode::kAroundMean
                                              : LimeMode::kAroundRow;
  ASSIGN_OR_RETURN(const LimeFit fit,
                   Lime(ScoreOf(model), RowOf(X), BackgroundOf(model, options.background_rows), lime, ctx));
  MethodResult out = Against(model, options, "local linear model of the anomaly score",
                             "anomaly score, by a linear model near the row");
  for (const auto& features : SourceColumnsOf(model).features) {
    double sum = 0, variance = 0;
    for (const int64_t f : features) {
      const auto j = static_cast<size_t>(f);
      sum += fit.contributions[j];
      const double reach = fit.coefficients[j] != 0 ? fit.contributions[j] / fit.coefficients[j] : 0;
      variance += fit.standard_error[j] * fit.standard_error[j] * reach * reach;
    }
    out.contributions.push_back(sum);
    out.standard_error.push_back(std::sqrt(variance));
  }
  out.expected = fit.expected;
  out.output = fit.prediction;
  out.r2 = fit.r2;
  CheckSum(&out);
  out.flat = fit.flat();
  if (out.flat) {
    out.warnings.push_back(fmt::format(
        "the score hardly changes near this row: by {:.2g} among the draws, by {:.2g} among usual rows; what "
        "it depends on elsewhere does not show here",
        fit.spread, fit.usual_spread));
  }
  if (!(fit.r2 >= kLimeUsable)) {
    out.warnings.push_back(
        fmt::format("R^2 is {:.2f}, below {}: the score is not linear near this row", fit.r2, kLimeUsable));
  }
  return out;
}

/// What each changed column alone would take off the score, and the counterfactual itself.
absl::StatusOr<MethodResult> RunCounterfactual(const PreparedModel& prepared, MatrixView X,
                                               const MethodOptions& options, const Context& ctx) {
  const outlier::Model& model = prepared.model();
  ASSIGN_OR_RETURN(Counterfactual found, CounterfactualOf(model, X, options, ctx));
  MethodResult out =
      Against(model, options, "anomaly score", "anomaly score that changing this column alone would take away");
  const SourceColumns columns = SourceColumnsOf(model);
  out.contributions.assign(columns.names.size(), 0);
  if (!found.changed.empty()) {
    Matrix trials(static_cast<int64_t>(found.changed.size()) + 1, X.cols);
    for (int64_t i = 0; i < trials.rows(); ++i) {
      for (int64_t j = 0; j < X.cols; ++j) trials(i, j) = X(0, j);
      if (i == 0) continue;
      for (const int64_t j : columns.features[static_cast<size_t>(found.changed[static_cast<size_t>(i - 1)])]) {
        trials(i, j) = found.row[static_cast<size_t>(j)];
      }
    }
    std::vector<double> scores(static_cast<size_t>(trials.rows()));
    RETURN_IF_ERROR(model.detector().Score(trials, scores, ctx));
    for (size_t i = 0; i < found.changed.size(); ++i) {
      out.contributions[static_cast<size_t>(found.changed[i])] = scores[0] - scores[i + 1];
    }
  }
  if (!found.found) {
    out.warnings.push_back(
        fmt::format("no change of up to 8 columns towards usual rows makes this row normal{}",
                    model.preparation().history() > 0 ? "; the rows before it stay as they are" : ""));
  }
  out.counterfactual = std::move(found);
  return out;
}

constexpr Method kMethods[] = {
    {"native", "what the algorithm itself says of each column's part; about as dear as scoring", "", RunNative},
    {"native_standardized", "native parts in units of what usual rows have: which part is unusual, not which is large",
     "", RunNativeStandardized},
    {"tree_shap", "Shapley values of an isolation forest, exact", kTreeShapModes, RunTreeShap},
    {"exact", "Shapley values of the score over all coalitions, up to 13 columns", "", RunExact},
    {"kernel_shap", "Shapley values of any algorithm's score, estimated, with standard errors", "", RunKernelShap},
    {"lime", "a linear model of the score near the row", "around_row|around_mean|quartile", RunLime},
    {"counterfactual", "the fewest changes that would make the row normal", "", RunCounterfactual},
    {"diffi", "which columns isolate the row early in an isolation forest, without direction", "", RunDiffi},
    {"integrated_gradients", "the slope of a network's score on the way from a usual row", kIntegratedGradientsModes,
     [](const PreparedModel& prepared, MatrixView X, const MethodOptions& options, const Context& ctx) {
       return RunIntegratedGradients(prepared.model(), X, options, ctx);
     }},
};

}  // namespace

absl::Status NeedBackground(const outlier::Model& model) {
  if (model.background().rows() > 0) return absl::OkStatus();
  return FailedPrecondition("the model keeps no background rows to explain against");
}

MethodResult Against(const outlier::Model& model, const MethodOptions& options, std::string explained,
                     std::string_view space) {
  MethodResult out;
  out.explained = std::move(explained);
  out.space = space;
  out.background = BackgroundId(model, options.background_rows);
  out.background_rows = BackgroundOf(model, options.background_rows).rows();
  return out;
}

void CheckSum(MethodResult* out) {
  double sum = out->expected;
  for (const double c : out->contributions) sum += c;
  out->additive = true;
  out->additivity_error = std::fabs(sum - out->output);
  if (!(out->additivity_error <= 1e-9 * std::max(1.0, std::fabs(out->output)))) {
    out->warnings.push_back(fmt::format("the contributions miss the output by {:.3g}", out->additivity_error));
  }
}

std::vector<double> BySource(const outlier::Model& model, MatrixView parts) {
  std::vector<double> out;
  for (const auto& features : SourceColumnsOf(model).features) {
    double sum = 0;
    for (const int64_t j : features) sum += parts(0, j);
    out.push_back(sum);
  }
  return out;
}

SourceColumns SourceColumnsOf(const outlier::Model& model) {
  SourceColumns out;
  std::map<std::pair<int, std::string_view>, size_t> places;
  const auto& features = model.preparation().features();
  for (size_t f = 0; f < features.size(); ++f) {
    const auto [at, fresh] =
        places.emplace(std::pair(features[f].lag, std::string_view(features[f].source_column)), out.names.size());
    if (fresh) {
      out.names.push_back(features[f].source_column);
      out.lags.push_back(features[f].lag);
      out.per_lag += features[f].lag == 0 ? 1 : 0;
      out.features.emplace_back();
    }
    out.features[at->second].push_back(static_cast<int64_t>(f));
  }
  return out;
}

size_t SourceColumns::Find(std::string_view name, int lag) const {
  const auto own = std::find(names.begin(), names.begin() + static_cast<int64_t>(per_lag), name) - names.begin();
  const size_t at = static_cast<size_t>(own) + static_cast<size_t>(lag) * per_lag;
  return static_cast<size_t>(own) == per_lag ? names.size() : std::min(at, names.size());
}

Matrix BackgroundOf(const outlier::Model& model, int64_t rows) {
  const Matrix& all = model.background();
  if (rows <= 0 || rows >= all.rows()) return all;
  Matrix out(rows, all.cols());
  for (int64_t j = 0; j < all.cols(); ++j) {
    for (int64_t i = 0; i < rows; ++i) out(i, j) = all(i * all.rows() / rows, j);
  }
  return out;
}

std::string BackgroundId(const outlier::Model& model, int64_t count) {
  const Matrix rows = BackgroundOf(model, count);
  const auto bytes = static_cast<size_t>(rows.rows() * rows.cols()) * sizeof(double);
  return "bg-" + Sha256Hex({reinterpret_cast<const char*>(rows.data()), bytes}).substr(0, 16);
}

std::span<const Method> Methods() { return kMethods; }

std::string_view ShapMethodFor(const outlier::Model& model) {
  return dynamic_cast<const outlier::ForestSource*>(&model.detector()) != nullptr ? "tree_shap" : "kernel_shap";
}

absl::StatusOr<const Method*> FindMethod(std::string_view name) {
  std::string known;
  for (const Method& method : kMethods) {
    if (method.name == name) return &method;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", method.name);
  }
  return NotFound("no method of explanation is called '{}'; there are {}", name, known);
}

absl::StatusOr<MethodResult> RunMethod(const PreparedModel& prepared, MatrixView X, const Method& method,
                                       const MethodOptions& options, const Context& ctx) {
  const outlier::Model& model = prepared.model();
  if (X.rows != 1) return InvalidArgument("one row is explained at a time, not {}", X.rows);
  RETURN_IF_ERROR(model.Score(X, ctx).status());  // shape and values
  MethodOptions chosen = options;
  const std::string modes = fmt::format("|{}|", method.modes);
  if (chosen.mode.empty()) chosen.mode = method.modes.substr(0, method.modes.find('|'));
  if (!chosen.mode.empty() && modes.find(fmt::format("|{}|", chosen.mode)) == std::string::npos) {
    return InvalidArgument("{} has {}", method.name,
                           method.modes.empty() ? "no modes" : fmt::format("the modes {}", method.modes));
  }
  // Every request for this row draws the same numbers, whoever asks.
  Context own = ctx;
  for (int64_t j = 0; j < X.cols; ++j) {
    uint64_t bits = 0;
    const double x = X(0, j);
    std::memcpy(&bits, &x, sizeof bits);
    own.seed = (own.seed ^ bits) * 0x9E3779B97F4A7C15ULL;
    own.seed ^= own.seed >> 29;
  }
  ASSIGN_OR_RETURN(MethodResult out, method.run(prepared, X, chosen, own));
  out.method = method.name;
  out.mode = chosen.mode;
  return out;
}

absl::StatusOr<MethodResult> RunMethod(const outlier::Model& model, MatrixView X, const Method& method,
                                       const MethodOptions& options, const Context& ctx) {
  return RunMethod(PreparedModel(model), X, method, options, ctx);
}

namespace {

/// One row, which is the last of `table` where there is one.
absl::StatusOr<std::vector<outlier::FeatureContribution>> ExplainOne(const outlier::Model& model, MatrixView X,
                                                                     const table::Table* table, const Context& ctx) {
  if (X.rows != 1) return InvalidArgument("one row is explained at a time, not {}", X.rows);
  const int64_t last = table == nullptr ? 0 : table->rows() - 1;
  ASSIGN_OR_RETURN(auto rows, model.Explain(X, ctx, nullptr, table, std::span(&last, 1)));
  return std::move(rows[0]);
}

/// Ranges in the units of the matrix.
absl::Status SetRanges(const outlier::Model& model, const std::vector<AllowedRange>& ranges,
                       CounterfactualOptions* how) {
  if (ranges.empty()) return absl::OkStatus();
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const auto& features = model.preparation().features();
  how->low.assign(features.size(), -kNone);
  how->high.assign(features.size(), kNone);
  for (const AllowedRange& range : ranges) {
    const table::ColumnSchema* column = nullptr;
    for (const auto& c : model.preparation().schema()) column = c.name == range.column ? &c : column;
    const auto f =
        std::find_if(features.begin(), features.end(), [&](const auto& x) { return x.source_column == range.column; });
    if (column == nullptr || f == features.end())
      return InvalidArgument("the model uses no column '{}' that could have a range", range.column);
    if (column->type != table::ColumnType::kNumeric)
      return InvalidArgument("column '{}' holds no numbers; it can be frozen, but has no range", range.column);
    if (!(range.low <= range.high))
      return InvalidArgument("column '{}': no value lies between {} and {}", range.column, range.low, range.high);
    const auto j = static_cast<size_t>(f - features.begin());
    how->low[j] = (range.low - f->offset) / f->scale;
    how->high[j] = (range.high - f->offset) / f->scale;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ScoredAsNew(const outlier::Model& model, MatrixView X, const outlier::RowScore& score,
                                        const Context& ctx) {
  if (!model.descriptor().own_training_scores) return std::string();
  ASSIGN_OR_RETURN(const std::vector<outlier::RowScore> rows, model.Score(X, ctx));
  if (rows.size() != 1) return InvalidArgument("one row is explained at a time, not {}", rows.size());
  const double own = score.score, fresh = rows[0].score;
  if (std::fabs(own - fresh) <= 1e-9 * std::max(std::fabs(own), std::fabs(fresh))) return std::string();
  return fmt::format(
      "the model learned from this row, and its score {} leaves the row itself out; as a new row it scores {}{}",
      FormatNumber(own, 4), FormatNumber(fresh, 4), score.anomaly && !rows[0].anomaly ? " and is normal" : "");
}

absl::StatusOr<Counterfactual> CounterfactualOf(const outlier::Model& model, MatrixView X, const MethodOptions& options,
                                                const Context& ctx) {
  RETURN_IF_ERROR(NeedBackground(model));
  const SourceColumns columns = SourceColumnsOf(model);
  CounterfactualOptions how;
  how.threshold = model.scale().threshold();
  how.players = columns.features;
  for (const int lag : columns.lags) how.frozen.push_back(lag > 0);  // what has been, stays
  for (const std::string& name : options.frozen) {
    const size_t player = columns.Find(name, 0);
    if (player == columns.names.size())
      return InvalidArgument("the model uses no column '{}' that could be frozen", name);
    how.frozen[player] = true;
  }
  for (const int32_t count : model.preparation().category_counts()) how.codes.push_back(count > 0);
  RETURN_IF_ERROR(SetRanges(model, options.ranges, &how));
  return FindCounterfactual(ScoreOf(model), RowOf(X), BackgroundOf(model, options.background_rows), how, ctx);
}

absl::StatusOr<Explanation> ExplainWith(const outlier::Model& model, MatrixView X, const MethodResult& result,
                                        const outlier::RowScore& score, std::string subject, const table::Table* table,
                                        const Context& ctx) {
  ASSIGN_OR_RETURN(auto features, ExplainOne(model, X, table, ctx));
  const SourceColumns columns = SourceColumnsOf(model);
  for (auto& f : features) f.contribution = result.contributions[columns.Find(f.feature, f.lag)];
  Request request;
  request.subject = std::move(subject);
  request.score = score;
  request.threshold = model.scale().threshold();
  request.space = result.space;
  request.features = std::move(features);
  Explanation out = Explain(request);
  out.method = result.method;
  if (result.flat) out.text += " The score hardly changes near this row, so these contributions say little.";
  for (auto& c : out.contributions) {
    const size_t place = columns.Find(c.feature_name, c.lag);
    if (place < result.standard_error.size()) c.standard_error = result.standard_error[place];
  }
  return out;
}

absl::StatusOr<std::vector<Change>> ChangesOf(const outlier::Model& model, MatrixView X,
                                              const Counterfactual& counterfactual, const table::Table* table,
                                              const Context& ctx) {
  Matrix changed(1, X.cols);
  for (int64_t j = 0; j < X.cols; ++j) changed(0, j) = counterfactual.row[static_cast<size_t>(j)];
  ASSIGN_OR_RETURN(const auto before, ExplainOne(model, X, table, ctx));
  ASSIGN_OR_RETURN(const auto after, ExplainOne(model, changed, nullptr, ctx));
  const SourceColumns columns = SourceColumnsOf(model);
  const auto text = [](const std::vector<outlier::FeatureContribution>& row, const std::string& name) -> std::string {
    const auto f = std::find_if(row.begin(), row.end(), [&](const auto& c) { return c.lag == 0 && c.feature == name; });
    return f == row.end() ? "" : f->actual_text;
  };
  std::vector<Change> out;
  for (const int64_t p : counterfactual.changed) {
    const std::string& name = columns.names[static_cast<size_t>(p)];
    out.push_back({name, text(before, name), text(after, name)});
  }
  return out;
}

}  // namespace vedette::explain
