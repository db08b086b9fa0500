#include "cli/evaluation.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <numeric>
#include <span>

#include "base/rng.h"
#include "base/status.h"
#include "cli/flags.h"
#include "cli/labels.h"
#include "explain/words.h"
#include "table/prepare.h"

namespace vedette::cli {
namespace {

double CpuSeconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Starts a new high-water mark of the resident set, where the kernel lets a process do so (Linux, clear_refs 5).
void ResetPeakRss() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

int64_t PeakRss() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

absl::StatusOr<std::vector<uint8_t>> ReadLabels(const table::Table& table, const LabelOptions& options) {
  const int64_t at = table.Find(options.column);
  if (at < 0) {
    std::vector<std::string> names;
    for (const auto& column : table.columns) names.push_back(column.name);
    return InvalidArgument("--label: the file has no column '{}'{}", explain::SafeText(options.column),
                           DidYouMean(options.column, names));
  }
  const table::Column& column = table.columns[static_cast<size_t>(at)];
  std::vector<uint8_t> labels(static_cast<size_t>(column.size()));
  std::string negative;
  for (int64_t i = 0; i < column.size(); ++i) {
    if (column.IsMissing(i)) return InvalidArgument("--label {}: row {} has no label", options.column, i);
    const std::string text = column.Text(i);
    const bool odd = MeansAnomaly(text, options.positive);
    labels[static_cast<size_t>(i)] = odd;
    if (odd || text == negative) continue;
    if (!negative.empty() && options.positive.empty()) {
      return InvalidArgument(
          "--label {}: a label must be one of two values, 1 for an anomaly, but '{}' and '{}' both mean "
          "normal; --positive VALUE says which value means anomaly",
          options.column, explain::SafeText(negative), explain::SafeText(text));
    }
    negative = text;
  }
  const auto positives = std::count(labels.begin(), labels.end(), 1);
  if (positives == 0 || positives == static_cast<int64_t>(labels.size())) {
    return InvalidArgument(
        "--label {}: {} row is labelled as an anomaly; --positive VALUE says which value means anomaly", options.column,
        positives == 0 ? "no" : "every");
  }
  return labels;
}

bool IsPlain(const table::Column& column) {
  return column.type == table::ColumnType::kNumeric &&
         std::none_of(column.values.begin(), column.values.end(), [](double v) { return std::isnan(v); });
}

/// Folds for algorithms that learn from labels: anomalies and normal rows are dealt out separately, in an order drawn by seed.
std::vector<int> Folds(const std::vector<uint8_t>& labels, int folds, uint64_t seed) {
  std::vector<int64_t> order(labels.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  Rng(seed).Shuffle(order);
  std::vector<int> out(labels.size());
  int next[2] = {0, 0};
  for (const int64_t row : order) {
    int& dealt = next[labels[static_cast<size_t>(row)] != 0];
    out[static_cast<size_t>(row)] = dealt++ % folds;
  }
  return out;
}

struct Seconds {
  double fit = 0, fit_cpu = 0, score = 0, score_cpu = 0;
};

Matrix RowsOf(const Matrix& X, const std::vector<int64_t>& rows) {
  Matrix out(static_cast<int64_t>(rows.size()), X.cols());
  for (int64_t j = 0; j < X.cols(); ++j) {
    for (size_t i = 0; i < rows.size(); ++i) out(static_cast<int64_t>(i), j) = X(rows[i], j);
  }
  return out;
}

/// Scores of every row by a detector that was fitted on the other folds: it never saw the row or its label.
absl::Status CrossValidate(const outlier::Descriptor& descriptor, const outlier::ParamSet& params, const LabelledData& data,
                           const Context& ctx, std::span<double> scores, Seconds* seconds) {
  const auto anomalies = std::count(data.labels.begin(), data.labels.end(), 1);
  const int folds = static_cast<int>(std::min<int64_t>({5, anomalies, data.X.rows() - anomalies}));
  if (folds < 2) return InvalidArgument("cross-validation needs at least two anomalies and two normal rows");
  const std::vector<int> fold = Folds(data.labels, folds, ctx.seed);
  for (int f = 0; f < folds; ++f) {
    std::vector<int64_t> training, held;
    std::vector<outlier::Label> labels;
    for (size_t i = 0; i < fold.size(); ++i) {
      (fold[i] == f ? held : training).push_back(static_cast<int64_t>(i));
      if (fold[i] != f) labels.push_back(data.labels[i] != 0 ? outlier::Label::kAnomaly : outlier::Label::kNormal);
    }
    const Matrix train = RowsOf(data.X, training), test = RowsOf(data.X, held);
    const auto detector = descriptor.make(params);
    double wall = WallSeconds(), cpu = CpuSeconds();
    RETURN_IF_ERROR(detector->FitLabelled(train, labels, ctx));
    seconds->fit += WallSeconds() - wall;
    seconds->fit_cpu += CpuSeconds() - cpu;
    std::vector<double> part(held.size());
    wall = WallSeconds(), cpu = CpuSeconds();
    RETURN_IF_ERROR(detector->Score(test, part, ctx));
    seconds->score += WallSeconds() - wall;
    seconds->score_cpu += CpuSeconds() - cpu;
    for (size_t i = 0; i < held.size(); ++i) scores[static_cast<size_t>(held[i])] = part[i];
  }
  seconds->fit /= folds;
  seconds->fit_cpu /= folds;
  return absl::OkStatus();
}

/// Scores of the training rows, by a fit without labels.
absl::Status FitAndScore(const outlier::Descriptor& descriptor, const outlier::ParamSet& params, const LabelledData& data,
                         const Context& ctx, std::span<double> scores, Seconds* seconds) {
  const auto detector = descriptor.make(params);
  const bool native = descriptor.categories && data.native.rows() > 0;
  const Matrix& X = native ? data.native : data.X;
  double wall = WallSeconds(), cpu = CpuSeconds();
  RETURN_IF_ERROR(native ? detector->FitMixed(X, data.categories, ctx) : detector->Fit(X, ctx));
  seconds->fit = WallSeconds() - wall;
  seconds->fit_cpu = CpuSeconds() - cpu;
  wall = WallSeconds(), cpu = CpuSeconds();
  RETURN_IF_ERROR(detector->Score(X, scores, ctx));
  seconds->score = WallSeconds() - wall;
  seconds->score_cpu = CpuSeconds() - cpu;
  std::ranges::copy(detector->training_scores(), scores.begin());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LabelledData> SplitLabels(const table::Table& table, const LabelOptions& options) {
  LabelledData out;
  ASSIGN_OR_RETURN(out.labels, ReadLabels(table, options));
  std::vector<std::string> ignored = options.ignore_columns;
  ignored.push_back(options.column);
  std::vector<const table::Column*> features;
  for (const auto& column : table.columns) {
    if (std::find(ignored.begin(), ignored.end(), column.name) == ignored.end()) features.push_back(&column);
  }
  if (features.empty()) return InvalidArgument("no column is left beside the label");
  const bool plain = std::all_of(features.begin(), features.end(), [](const auto* c) { return IsPlain(*c); });
  if (plain && options.scaling == "none" && options.window == 1) {
    out.X = Matrix(table.rows(), static_cast<int64_t>(features.size()));
    for (size_t j = 0; j < features.size(); ++j) {
      std::copy(features[j]->values.begin(), features[j]->values.end(), out.X.col(static_cast<int64_t>(j)).begin());
    }
    return out;
  }
  table::PrepareOptions prepare;
  prepare.ignore_columns = ignored;
  prepare.drop_identifiers = false;
  prepare.window = options.window;
  if (options.scaling == "standard") prepare.scaling = table::Scaling::kStandard;
  if (options.scaling == "robust") prepare.scaling = table::Scaling::kRobust;
  ASSIGN_OR_RETURN(const auto preparation, table::Preparation::Fit(table, prepare));
  ASSIGN_OR_RETURN(out.X, preparation.Apply(table));
  if (!plain) {
    prepare.encoding = table::Encoding::kNative;
    prepare.imputation = table::Imputation::kNone;
    ASSIGN_OR_RETURN(const auto as_it_is, table::Preparation::Fit(table, prepare));
    ASSIGN_OR_RETURN(out.native, as_it_is.Apply(table));
    out.categories = as_it_is.category_counts();
    out.notes.push_back(
        "categories are one-hot encoded and missing cells filled with the median, but for algorithms that take them as they are");
  }
  for (const auto& note : preparation.notes()) out.notes.push_back(note);
  return out;
}

absl::StatusOr<Measurement> Measure(const outlier::Descriptor& descriptor, const outlier::ParamSet& params,
                                    const LabelledData& data, int repeat, const Context& ctx) {
  Measurement out;
  out.algorithm = descriptor.name;
  out.rows = data.X.rows();
  out.features = data.X.cols();
  std::vector<double> fit, fit_cpu, score, score_cpu, scores(static_cast<size_t>(data.X.rows()));
  for (int r = 0; r < repeat; ++r) {
    Context run = ctx;
    if (!descriptor.deterministic) run.seed = ctx.seed + static_cast<uint64_t>(r);
    ResetPeakRss();
    Seconds seconds;
    const auto measure = descriptor.needs_labels ? CrossValidate : FitAndScore;
    RETURN_IF_ERROR(measure(descriptor, params, data, run, scores, &seconds));
    fit.push_back(seconds.fit);
    fit_cpu.push_back(seconds.fit_cpu);
    score.push_back(seconds.score);
    score_cpu.push_back(seconds.score_cpu);
    out.peak_rss_bytes = std::max(out.peak_rss_bytes, PeakRss());
    if (r > 0 && descriptor.deterministic) continue;
    ASSIGN_OR_RETURN(const auto quality, outlier::Evaluate(scores, data.labels));
    const double weight = descriptor.deterministic ? 1.0 : 1.0 / repeat;
    out.quality.roc_auc += weight * quality.roc_auc;
    out.quality.average_precision += weight * quality.average_precision;
    out.quality.precision_at_n += weight * quality.precision_at_n;
  }
  out.fit_seconds = Median(fit);
  out.fit_cpu_seconds = Median(fit_cpu);
  out.score_seconds = Median(score);
  out.score_cpu_seconds = Median(score_cpu);
  return out;
}

}  // namespace vedette::cli
