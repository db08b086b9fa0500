#include "outlier/model.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/rng.h"
#include "base/status.h"
#include "outlier/columns.h"
#include "outlier/parallel.h"

namespace vedette::outlier {
namespace {

constexpr int64_t kBackgroundRows = 100;
constexpr int64_t kRowsTogether = 4096;  // of what follows from scores
constexpr uint64_t kBackgroundStream = 0xB4C6;  // apart from the streams that algorithms draw from

/// The value that occurs most often (the least such).
double Mode(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  double best = values.front();
  size_t most = 0;
  for (size_t begin = 0, end; begin < values.size(); begin = end) {
    for (end = begin + 1; end < values.size() && values[end] == values[begin]; ++end) {
    }
    if (end - begin > most) {
      most = end - begin;
      best = values[begin];
    }
  }
  return best;
}

absl::Status CheckSource(const TrainingSource& source, size_t rows) {
  if (source.rows.empty()) return absl::OkStatus();
  if (source.rows.size() != rows) {
    return InvalidArgument("the source names {} rows, {} were given", source.rows.size(), rows);
  }
  if (source.rows.front() < 0 || !std::is_sorted(source.rows.begin(), source.rows.end(), std::less_equal<>())) {
    return absl::InvalidArgumentError("the source's rows are not in order");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Model::CheckInput(MatrixView X) const {
  const auto& features = preparation_.features();
  if (X.cols != static_cast<int64_t>(features.size())) {
    return InvalidArgument("the matrix has {} columns, the model needs {}", X.cols, features.size());
  }
  const bool nan_allowed = descriptor_->nan == NanPolicy::kNative;
  for (int64_t j = 0; j < X.cols; ++j) {
    double bad = 0;  // x - x is 0 for finite x, NaN otherwise: one sum that the compiler can vectorise
    for (const double x : X.col(j)) bad += x - x;
    if (bad == 0) continue;
    for (int64_t i = 0; i < X.rows; ++i) {
      const double x = X(i, j);
      if (std::isfinite(x) || (nan_allowed && std::isnan(x))) continue;
      return InvalidArgument("feature '{}' of row {} is {}", features[static_cast<size_t>(j)].name, i,
                             std::isnan(x) ? "missing, which this algorithm cannot use (impute it)" : "infinite");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Model>> Model::Fit(const Catalog& catalog, const FitOptions& options,
                                                  table::Preparation preparation, MatrixView X, const Context& ctx) {
  ASSIGN_OR_RETURN(const Descriptor* descriptor, catalog.Find(options.algorithm));
  auto params = ParamSet::Make(descriptor->params, options.params);
  if (!params.ok()) return Annotate(params.status(), descriptor->name);
  if (!(options.contamination > 0 && options.contamination <= 0.5)) {
    return InvalidArgument("contamination is {}: must be in (0, 0.5]", options.contamination);
  }
  std::optional<ThresholdRule> rule;
  if (!options.threshold.empty()) {
    ASSIGN_OR_RETURN(rule, ThresholdRule::Parse(options.threshold));
  }
  if (X.rows < 1) return absl::InvalidArgumentError("there are no rows to learn from");
  auto model = std::make_unique<Model>();
  model->descriptor_ = descriptor;
  model->params_ = params->Canonical();
  model->preparation_ = std::move(preparation);
  model->training_rows_ = X.rows;
  model->seed_ = ctx.seed;
  RETURN_IF_ERROR(model->CheckInput(X));
  model->detector_ = descriptor->make(*params);
  const std::vector<int32_t> categories = model->preparation_.category_counts();
  const bool mixed = std::ranges::any_of(categories, [](int32_t count) { return count > 0; });
  if (mixed && !descriptor->categories) {
    return InvalidArgument("{} takes no categories as they are: encode them as onehot, frequency or ordinal", descriptor->name);
  }
  absl::Status fitted;
  if (descriptor->needs_labels) {
    if (static_cast<int64_t>(options.labels.size()) != X.rows) {
      return FailedPrecondition("{} learns from labels, one per row: {} rows have {} labels", descriptor->name, X.rows,
                                options.labels.size());
    }
    fitted = model->detector_->FitLabelled(X, options.labels, ctx);
  } else {
    fitted = mixed ? model->detector_->FitMixed(X, categories, ctx) : model->detector_->Fit(X, ctx);
  }
  if (!fitted.ok()) return Annotate(fitted, descriptor->name);
  const std::span<const double> scores = model->detector_->training_scores();
  ASSIGN_OR_RETURN(model->scale_, rule ? ScoreScale::Fit(scores, *rule) : ScoreScale::Fit(scores, options.contamination));
  RETURN_IF_ERROR(model->KeepBackground(X));
  model->FindTypical(X);
  if (descriptor->own_training_scores && !options.source.table.empty()) {
    RETURN_IF_ERROR(CheckSource(options.source, scores.size()));
    model->source_ = options.source;
    model->training_scores_.assign(scores.begin(), scores.end());
  }
  return model;
}

absl::Status Model::KeepBackground(MatrixView X) {
  const std::span<const double> scores = detector_->training_scores();
  if (static_cast<int64_t>(scores.size()) != X.rows) {
    return Internal("{} gave {} training scores for {} rows", descriptor_->name, scores.size(), X.rows);
  }
  std::vector<int64_t> normal;
  for (int64_t i = 0; i < X.rows; ++i) {
    if (!scale_.IsAnomaly(scores[static_cast<size_t>(i)])) normal.push_back(i);
  }
  std::vector<int64_t> drawn = Rng(seed_, kBackgroundStream).Sample(static_cast<int64_t>(normal.size()), kBackgroundRows);
  std::sort(drawn.begin(), drawn.end());
  background_ = Matrix(static_cast<int64_t>(drawn.size()), X.cols);
  for (int64_t j = 0; j < X.cols; ++j) {
    for (int64_t i = 0; i < background_.rows(); ++i) {
      background_(i, j) = X(normal[static_cast<size_t>(drawn[static_cast<size_t>(i)])], j);
    }
  }
  return absl::OkStatus();
}

void Model::FindTypical(MatrixView X) {
  const auto& features = preparation_.features();
  typical_.assign(features.size(), 0);
  const std::vector<bool> coded = CodedCategories();
  for (size_t f = 0; f < features.size(); ++f) {
    std::vector<double> values;
    for (const double x : X.col(static_cast<int64_t>(f))) {
      if (std::isfinite(x)) values.push_back(x * features[f].scale + features[f].offset);
    }
    std::erase_if(values, [](double x) { return !std::isfinite(x); });
    if (values.empty()) continue;
    if (!features[f].category.empty()) {
      double sum = 0;
      for (const double x : values) sum += x;
      typical_[f] = sum / static_cast<double>(X.rows);
    } else {
      typical_[f] = coded[f] ? Mode(std::move(values)) : MedianInPlace(values);
    }
  }
}

std::vector<bool> Model::CodedCategories() const {
  std::set<std::string_view> texts;
  for (const auto& column : preparation_.schema()) {
    if (column.type == table::ColumnType::kCategorical) texts.insert(column.name);
  }
  std::vector<bool> coded;
  for (const auto& f : preparation_.features()) coded.push_back(f.category.empty() && texts.contains(f.source_column));
  return coded;
}

RowScore Model::RowOf(double score) const {
  RowScore row;
  row.score = score;
  row.probability = scale_.Probability(score);
  row.confidence = scale_.Confidence(score);
  row.anomaly = scale_.IsAnomaly(score);
  row.severity = scale_.SeverityOf(score);
  return row;
}

absl::StatusOr<std::vector<RowScore>> Model::Score(MatrixView X, const Context& ctx) const {
  RETURN_IF_ERROR(CheckInput(X));
  std::vector<double> scores(static_cast<size_t>(X.rows));
  if (X.rows > 0) RETURN_IF_ERROR(detector_->Score(X, scores, ctx));
  if (std::ranges::any_of(scores, [](double s) { return !std::isfinite(s); })) {
    return Internal("{} gave a score that is not finite", descriptor_->name);
  }
  std::vector<RowScore> rows(scores.size());
  RETURN_IF_ERROR(FewOrParallelBlocks(ctx, X.rows, kRowsTogether, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) rows[i] = RowOf(scores[i]);
  }));
  return rows;
}

absl::StatusOr<std::vector<RowScore>> Model::ScoreRowsOf(std::string_view table, std::span<const int64_t> rows,
                                                         MatrixView X, const Context& ctx) const {
  if (table.empty() || table != source_.table) return Score(X, ctx);
  std::vector<RowScore> out(rows.size());
  std::vector<int64_t> others;
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t place = PlaceInTraining(rows[i]);
    if (place < 0) {
      others.push_back(static_cast<int64_t>(i));
    } else {
      out[i] = RowOf(training_scores_[static_cast<size_t>(place)]);
    }
  }
  if (others.empty()) return out;
  if (others.size() == rows.size()) return Score(X, ctx);  // no copy of them all
  Matrix fresh(static_cast<int64_t>(others.size()), X.cols);
  for (int64_t j = 0; j < X.cols; ++j) {
    for (size_t i = 0; i < others.size(); ++i) fresh(static_cast<int64_t>(i), j) = X(others[i], j);
  }
  ASSIGN_OR_RETURN(const std::vector<RowScore> scored, Score(fresh, ctx));
  for (size_t i = 0; i < others.size(); ++i) out[static_cast<size_t>(others[i])] = scored[i];
  return out;
}

int64_t Model::PlaceInTraining(int64_t row) const {
  if (source_.rows.empty()) return row >= 0 && row < training_rows_ ? row : -1;
  const auto it = std::lower_bound(source_.rows.begin(), source_.rows.end(), row);
  return it != source_.rows.end() && *it == row ? it - source_.rows.begin() : -1;
}

std::vector<RowScore> Model::TrainingRows() const {
  std::vector<RowScore> rows;
  for (const double score : detector_->training_scores()) rows.push_back(RowOf(score));
  return rows;
}

absl::Status Model::SetContamination(double contamination) {
  ASSIGN_OR_RETURN(scale_, scale_.WithContamination(contamination));
  return absl::OkStatus();
}

}  // namespace vedette::outlier
