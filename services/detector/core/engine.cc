#include "services/detector/core/engine.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "base/status.h"
#include "explain/words.h"
#include "outlier/labels.h"
#include "outlier/selection.h"
#include "services/detector/core/findings.h"
#include "services/detector/core/lease_keeper.h"
#include "table/rows.h"

namespace vedette::detector {
namespace {

constexpr int64_t kProfileRows = 20000;
/// How long one AcquireModel waits for somebody else's training before it asks again.
constexpr absl::Duration kAcquireWait = absl::Seconds(20);

/// Windows make large matrices of small tables: so many cells (1.6 GB) are held at a time.
constexpr int64_t kMaxWindowCells = 200'000'000;

int64_t WindowRowsAtOnce(int64_t features) {
  return std::max<int64_t>(1, kMaxWindowCells / std::max<int64_t>(1, features));
}

/// INVALID_ARGUMENT where rows that came with a call would need more.
absl::Status CheckWindow(const table::Preparation& preparation, int64_t rows) {
  const auto features = static_cast<int64_t>(preparation.features().size());
  if (preparation.history() == 0 || rows * features <= kMaxWindowCells) return absl::OkStatus();
  return InvalidArgument(
      "prepare.window: {} rows of {} features (of {} rows each) are more than {} values; send fewer rows at a time",
      rows, features, preparation.history() + 1, kMaxWindowCells);
}

bool HasParam(const outlier::Descriptor& d, std::string_view name) {
  return std::any_of(d.params.begin(), d.params.end(), [&](const outlier::ParamSpec& p) { return p.name == name; });
}

/// Everything that changes the fitted model and is not in the feature set.
std::map<std::string, std::string> KeyParameters(const outlier::ParamSet& params, const outlier::FitOptions& options,
                                                 uint64_t seed, int64_t max_rows) {
  std::map<std::string, std::string> all = params.Canonical();
  all["contamination"] = fmt::format("{}", options.contamination);
  if (!options.threshold.empty()) all["threshold"] = options.threshold;
  all["seed"] = std::to_string(seed);
  all["max_training_rows"] = std::to_string(max_rows);
  return all;
}

/// The rules' proposals, in the order of a second opinion where there is one.
Choice Choose(const outlier::DataProfile& profile, const Remote& remote, const Context& ctx) {
  Choice choice{profile, outlier::Select(profile)};
  if (remote.reranker != nullptr) choice.selection = outlier::Reranked(std::move(choice.selection), profile, *remote.reranker, ctx);
  return choice;
}

/// The labels of a column; `row_index` names the table's rows (none: they are named by their place).
absl::StatusOr<std::vector<outlier::Label>> ReadLabels(const table::Table& table, const std::string& name,
                                                       std::span<const int64_t> row_index) {
  const int64_t at = table.Find(name);
  if (at < 0) return InvalidArgument("detector.label_column: there is no column '{}'", explain::SafeText(name));
  const table::Column& column = table.columns[static_cast<size_t>(at)];
  std::vector<outlier::Label> labels;
  labels.reserve(static_cast<size_t>(column.size()));
  for (int64_t i = 0; i < column.size(); ++i) {
    const std::string cell = column.Text(i);
    const std::optional<outlier::Label> label = outlier::LabelOf(cell);
    if (!label) {
      const int64_t row = row_index.empty() ? i : row_index[static_cast<size_t>(i)];
      return InvalidArgument("detector.label_column '{}': row {} says '{}', which is none of {}",
                             explain::SafeText(name), row, explain::SafeText(cell), outlier::kLabelWords);
    }
    labels.push_back(*label);
  }
  return labels;
}

/// What the request wants of the table, without the labels.
table::PrepareOptions WithoutLabels(const DetectorSpec& spec) {
  table::PrepareOptions prepare = spec.prepare;
  auto& ignored = prepare.ignore_columns;
  if (!spec.label_column.empty() && std::find(ignored.begin(), ignored.end(), spec.label_column) == ignored.end())
    ignored.push_back(spec.label_column);
  return prepare;
}

Context WithSeed(Context ctx, uint64_t seed) {
  ctx.seed = seed;
  return ctx;
}

}  // namespace

struct Engine::Plan {
  const outlier::Descriptor* descriptor = nullptr;
  FeatureSet features;
  std::optional<Choice> choice;

  std::map<std::string, std::string> ChosenParams() const { return choice ? choice->selection.params : std::map<std::string, std::string>{}; }
};

absl::Status Engine::Check(const DetectorSpec& spec) const {
  if (spec.contamination < 0 || spec.contamination > 0.5) {
    return InvalidArgument("detector.contamination: {} is not within (0, 0.5]", spec.contamination);
  }
  if (!spec.threshold.empty()) {
    if (spec.contamination > 0) return absl::InvalidArgumentError("detector.threshold: a rule is given instead of contamination, not beside it");
    RETURN_IF_ERROR(Annotate(outlier::ThresholdRule::Parse(spec.threshold).status(), "detector.threshold"));
  }
  if (spec.algorithm == "auto") {
    if (!spec.label_column.empty()) {
      return absl::InvalidArgumentError(
          "detector.label_column: auto chooses among algorithms that learn without labels; name one that learns from "
          "them, or put the column into prepare.ignore_columns");
    }
    return spec.params.empty() ? absl::OkStatus()
                               : InvalidArgument("detector.parameters: they belong to one algorithm, and auto may choose another");
  }
  ASSIGN_OR_RETURN(const outlier::Descriptor* descriptor, catalog_.Find(spec.algorithm));
  if (descriptor->needs_labels && spec.label_column.empty()) {
    return InvalidArgument(
        "detector.label_column: {} learns from rows whose label is known; name the column that says which",
        descriptor->name);
  }
  if (!descriptor->needs_labels && !spec.label_column.empty()) {
    return InvalidArgument(
        "detector.label_column: {} learns without labels; prepare.ignore_columns leaves a column out",
        descriptor->name);
  }
  if (spec.prepare.imputation == table::Imputation::kNone && descriptor->nan != outlier::NanPolicy::kNative) {
    return InvalidArgument("prepare.imputation none: {} cannot take missing values; use median or mean", descriptor->name);
  }
  if (spec.prepare.encoding == table::Encoding::kNative && !descriptor->categories) {
    return InvalidArgument("prepare.encoding native: {} cannot split on categories; use one_hot, frequency or ordinal", descriptor->name);
  }
  return Annotate(outlier::ParamSet::Make(descriptor->params, spec.params).status(), "detector.parameters");
}

outlier::FitOptions Engine::FitOptionsFor(const outlier::Descriptor& descriptor, const DetectorSpec& spec) const {
  outlier::FitOptions options{.algorithm = std::string(descriptor.name), .params = spec.params, .contamination = spec.contamination};
  if (!spec.threshold.empty()) options.threshold = outlier::ThresholdRule::Parse(spec.threshold)->Text();  // checked before
  if (options.contamination == 0) options.contamination = descriptor.default_contamination;
  if (HasParam(descriptor, "device") && !options.params.contains("device")) {
    const bool cuda = options_.device.starts_with("cuda");
    options.params["device"] = cuda ? "cuda" : options_.device;
    if (cuda && options_.device.size() > 5) options.params["device_index"] = options_.device.substr(5);
  }
  return options;
}

absl::StatusOr<Engine::Plan> Engine::PlanDataset(const std::string& dataset, const DetectorSpec& spec, const Remote& remote,
                                                 const Context& ctx) {
  Plan plan;
  std::string algorithm = spec.algorithm;
  if (algorithm == "auto") {
    ASSIGN_OR_RETURN(const FeatureSet raw, remote.features->Create(dataset, spec.prepare));
    const int64_t rows =
        spec.prepare.window == 1 ? kProfileRows : std::min(kProfileRows, WindowRowsAtOnce(std::ssize(raw.features)));
    ASSIGN_OR_RETURN(const FeatureBlock sample, remote.features->Read({.feature_set = raw.name,
                                                                       .dataset = dataset,
                                                                       .sample_rows = rows,
                                                                       .seed = spec.seed,
                                                                       .include_table = true}));
    outlier::DataProfile profile = outlier::ProfileOf(sample.table, sample.preparation, sample.features.view());
    profile.rows = sample.dataset_rows;
    plan.choice = Choose(profile, remote, ctx);
    algorithm = plan.choice->selection.algorithm;
  }
  ASSIGN_OR_RETURN(plan.descriptor, catalog_.Find(algorithm));
  auto features =
      remote.features->Create(dataset, outlier::PrepareFor(*plan.descriptor, WithoutLabels(spec), spec.open));
  if (!spec.label_column.empty()) RETURN_IF_ERROR(Annotate(features.status(), "without detector.label_column"));
  ASSIGN_OR_RETURN(plan.features, std::move(features));
  return plan;
}

absl::StatusOr<std::shared_ptr<const outlier::Model>> Engine::Load(const std::string& name, const Remote& remote) {
  if (auto model = memory_.Find(remote.tenant, name)) return model;
  ASSIGN_OR_RETURN(const std::string bytes, remote.models->Download(name));
  ASSIGN_OR_RETURN(auto parsed, outlier::Model::Parse(catalog_, bytes));
  std::shared_ptr<const outlier::Model> model = std::move(parsed);
  memory_.Insert(remote.tenant, name, model);
  return model;
}

absl::StatusOr<std::pair<std::string, bool>> Engine::GetOrTrain(const ModelKey& key, const Remote& remote, const Context& ctx,
                                                                const Trainer& train) {
  for (;;) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const Acquired acquired, remote.models->Acquire(key, kAcquireWait));
    if (const Hit* hit = std::get_if<Hit>(&acquired)) return std::pair(hit->model, true);
    const Lease* lease = std::get_if<Lease>(&acquired);
    if (lease == nullptr) continue;  // somebody else trains; Acquire has waited

    LeaseKeeper keeper(*remote.models, *lease, ctx.stop);
    Context training = ctx;
    training.stop = keeper.stop_token();
    const absl::Time start = absl::Now();
    absl::StatusOr<std::unique_ptr<outlier::Model>> model = train(training);
    if (!model.ok()) {
      if (keeper.lost() && !ctx.stop.stop_requested()) continue;
      remote.models->Release(lease->id, model.status());
      return model.status();
    }
    const Training facts{.rows = (*model)->training_rows(), .seconds = absl::ToDoubleSeconds(absl::Now() - start)};
    absl::StatusOr<std::string> name = remote.models->Upload(lease->id, (*model)->Serialize(), facts);
    if (absl::IsAborted(name.status())) continue;  // the lease was lost at the last moment: take what the other one made
    if (!name.ok()) {
      remote.models->Release(lease->id, name.status());
      return name.status();
    }
    memory_.Insert(remote.tenant, *name, *std::move(model));
    return std::pair(*std::move(name), false);
  }
}

absl::StatusOr<FitOutcome> Engine::Fit(const std::string& dataset, const DetectorSpec& spec, int64_t max_training_rows,
                                       const Remote& remote, const Context& ctx) {
  RETURN_IF_ERROR(Check(spec));
  ASSIGN_OR_RETURN(const Plan plan, PlanDataset(dataset, spec, remote, ctx));
  outlier::FitOptions options = FitOptionsFor(*plan.descriptor, spec);
  options.params.merge(plan.ChosenParams());
  ASSIGN_OR_RETURN(const outlier::ParamSet params, outlier::ParamSet::Make(plan.descriptor->params, options.params));
  int64_t max_rows =
      max_training_rows > 0 ? std::min(max_training_rows, options_.max_training_rows) : options_.max_training_rows;
  if (spec.prepare.window > 1) max_rows = std::min(max_rows, WindowRowsAtOnce(std::ssize(plan.features.features)));
  ModelKey key{.subject = dataset,
               .schema = plan.features.features,
               .algorithm = options.algorithm,
               .parameters = KeyParameters(params, options, spec.seed, max_rows),
               .feature_set = plan.features.name,
               .feature_set_version = plan.features.version};
  if (!spec.label_column.empty()) key.parameters["label_column"] = spec.label_column;
  const auto train = [&](const Context& training) -> absl::StatusOr<std::unique_ptr<outlier::Model>> {
    const bool labelled = !spec.label_column.empty();
    FeatureQuery query{.feature_set = plan.features.name,
                       .dataset = dataset,
                       .sample_rows = max_rows,
                       .seed = spec.seed,
                       .include_table = labelled};
    if (labelled) query.table_columns = {spec.label_column};
    ASSIGN_OR_RETURN(FeatureBlock block, remote.features->Read(query));
    outlier::FitOptions of_these = options;
    of_these.source.table = dataset;
    if (std::ssize(block.row_index) < block.dataset_rows) of_these.source.rows = block.row_index;
    if (labelled) {
      ASSIGN_OR_RETURN(of_these.labels, ReadLabels(block.table, spec.label_column, block.row_index));
    }
    return outlier::Model::Fit(catalog_, of_these, std::move(block.preparation), block.features.view(),
                               WithSeed(training, spec.seed));
  };
  ASSIGN_OR_RETURN(const auto trained, GetOrTrain(key, remote, ctx, train));
  ASSIGN_OR_RETURN(const auto model, Load(trained.first, remote));
  return FitOutcome{.model = trained.first,
                    .feature_set = plan.features.name,
                    .algorithm = options.algorithm,
                    .choice = plan.choice,
                    .cache_hit = trained.second,
                    .threshold = model->scale().threshold(),
                    .training_rows = model->training_rows()};
}

absl::StatusOr<ScoreOutcome> Engine::Score(const ScoreQuery& query, const Remote& remote, const Context& ctx) {
  ASSIGN_OR_RETURN(const auto model, Load(query.model, remote));
  ScoreOutcome out{.algorithm = std::string(model->descriptor().name),
                   .space = {},
                   .threshold = model->scale().threshold(),
                   .rows_scored = 0,
                   .anomalies = {}};
  const table::Preparation& preparation = model->preparation();
  const int64_t step =
      preparation.history() == 0 ? query.row_count : WindowRowsAtOnce(std::ssize(preparation.features()));
  do {
    ScoreQuery part = query;
    part.first_row += out.rows_scored;
    part.row_count = std::min(step, query.row_count - out.rows_scored);
    RETURN_IF_ERROR(ScorePart(*model, part, remote, ctx, &out));
  } while (out.rows_scored < query.row_count);
  return out;
}

absl::Status Engine::ScorePart(const outlier::Model& model, const ScoreQuery& query, const Remote& remote,
                               const Context& ctx, ScoreOutcome* out) {
  ASSIGN_OR_RETURN(const FeatureBlock block, remote.features->Read({.feature_set = query.feature_set, .dataset = query.dataset,
                                                                    .first_row = query.first_row, .row_count = query.row_count,
                                                                    .include_table = true}));
  if (block.features.rows() != query.row_count) {
    return FailedPrecondition("rows {} to {} of {}: only {} came", query.first_row, query.first_row + query.row_count, query.dataset,
                              block.features.rows());
  }
  ASSIGN_OR_RETURN(const auto scores, model.ScoreRowsOf(query.dataset, block.row_index, block.features.view(), ctx));
  ASSIGN_OR_RETURN(auto found, ExplainAnomalies(model, block.features.view(), block.table, block.row_index, scores,
                                                query.top_features, ctx, &out->space, block.context_rows));
  out->rows_scored += block.features.rows();
  std::ranges::move(found, std::back_inserter(out->anomalies));
  return absl::OkStatus();
}

absl::StatusOr<InlineOutcome> Engine::Detect(const table::Table& table, const std::string& content_hash, const DetectorSpec& spec,
                                             int top_features, const outlier::DecisionOptions& decision, const Remote& remote,
                                             const Context& ctx) {
  RETURN_IF_ERROR(Check(spec));
  RETURN_IF_ERROR(Annotate(outlier::Check(decision), "decision"));
  std::string algorithm = spec.algorithm;
  std::optional<Choice> choice;
  if (algorithm == "auto") {
    ASSIGN_OR_RETURN(const table::Preparation raw, table::Preparation::Fit(table, spec.prepare));
    RETURN_IF_ERROR(CheckWindow(raw, table.rows()));
    ASSIGN_OR_RETURN(const Matrix X, raw.Apply(table));
    choice = Choose(outlier::ProfileOf(table, raw, X.view()), remote, ctx);
    algorithm = choice->selection.algorithm;
  }
  ASSIGN_OR_RETURN(const outlier::Descriptor* descriptor, catalog_.Find(algorithm));
  const table::PrepareOptions prepare = outlier::PrepareFor(*descriptor, WithoutLabels(spec), spec.open);
  outlier::FitOptions options = FitOptionsFor(*descriptor, spec);
  if (choice) options.params.insert(choice->selection.params.begin(), choice->selection.params.end());
  ASSIGN_OR_RETURN(const outlier::ParamSet params, outlier::ParamSet::Make(descriptor->params, options.params));
  ModelKey key{.subject = "inline/" + content_hash, .schema = {}, .algorithm = options.algorithm,
               .parameters = KeyParameters(params, options, spec.seed, 0), .feature_set = "", .feature_set_version = 0};
  key.parameters["prepare"] = fmt::format("{} {} {} {}", static_cast<int>(prepare.imputation), static_cast<int>(prepare.encoding),
                                          static_cast<int>(prepare.scaling), fmt::join(prepare.ignore_columns, "\n"));
  if (prepare.window > 1) key.parameters["window"] = std::to_string(prepare.window);
  if (!spec.label_column.empty()) {
    key.parameters["label_column"] = spec.label_column;
    ASSIGN_OR_RETURN(options.labels, ReadLabels(table, spec.label_column, {}));
  }
  options.source.table = key.subject;
  const auto train = [&](const Context& training) -> absl::StatusOr<std::unique_ptr<outlier::Model>> {
    ASSIGN_OR_RETURN(table::Preparation preparation, table::Preparation::Fit(table, prepare));
    RETURN_IF_ERROR(CheckWindow(preparation, table.rows()));
    ASSIGN_OR_RETURN(const Matrix X, preparation.Apply(table));
    return outlier::Model::Fit(catalog_, options, std::move(preparation), X.view(), WithSeed(training, spec.seed));
  };
  ASSIGN_OR_RETURN(const auto trained, GetOrTrain(key, remote, ctx, train));
  ASSIGN_OR_RETURN(InlineOutcome out,
                   ScoreInline(trained.first, key.subject, table, top_features, decision, remote, ctx));
  out.choice = std::move(choice);
  return out;
}

absl::StatusOr<InlineOutcome> Engine::ScoreTable(const std::string& name, const table::Table& table, int top_features,
                                                 const outlier::DecisionOptions& decision, const Remote& remote,
                                                 const Context& ctx, int64_t context_rows, Series* series) {
  RETURN_IF_ERROR(Annotate(outlier::Check(decision), "decision"));
  if (series != nullptr) {
    ASSIGN_OR_RETURN(const auto model, Load(name, remote));
    if (model->preparation().history() > 0)
      return ScoreNext(*model, name, table, top_features, decision, remote, ctx, context_rows, series);
    *series = {.model = name};
  }
  return ScoreInline(name, "", table, top_features, decision, remote, ctx, context_rows);
}

absl::StatusOr<InlineOutcome> Engine::ScoreNext(const outlier::Model& model, const std::string& name,
                                                const table::Table& table, int top_features,
                                                const outlier::DecisionOptions& decision, const Remote& remote,
                                                const Context& ctx, int64_t context_rows, Series* series) {
  if (context_rows < 0 || context_rows > table.rows())
    return InvalidArgument("{} rows of context in a table of {} rows", context_rows, table.rows());
  ASSIGN_OR_RETURN(table::Table rows, model.preparation().Select(table));
  if (series->model == name && series->last.rows() > 0) {
    table::TableBuilder joined;
    RETURN_IF_ERROR(joined.Append(series->last));
    RETURN_IF_ERROR(joined.Append(rows));
    context_rows += series->last.rows();
    rows = joined.Take();
  }
  ASSIGN_OR_RETURN(InlineOutcome out,
                   ScoreInline(name, "", rows, top_features, decision, remote, ctx, context_rows));
  const int64_t kept = std::min(model.preparation().history(), rows.rows());
  *series = {.model = name, .last = table::SliceRows(rows, rows.rows() - kept, kept)};
  return out;
}

absl::StatusOr<InlineOutcome> Engine::ScoreInline(const std::string& name, const std::string& source,
                                                  const table::Table& table, int top_features,
                                                  const outlier::DecisionOptions& decision, const Remote& remote,
                                                  const Context& ctx, int64_t context_rows) {
  InlineOutcome out;
  out.name = name;
  ASSIGN_OR_RETURN(out.model, Load(name, remote));
  RETURN_IF_ERROR(CheckWindow(out.model->preparation(), table.rows()));
  ASSIGN_OR_RETURN(const Matrix X, out.model->preparation().Apply(table, context_rows));
  std::vector<int64_t> index(static_cast<size_t>(X.rows()));
  std::iota(index.begin(), index.end(), 0);
  ASSIGN_OR_RETURN(out.rows, out.model->ScoreRowsOf(source, index, X.view(), ctx));
  outlier::Decide(out.model->scale(), decision, out.rows);
  ASSIGN_OR_RETURN(out.anomalies, ExplainAnomalies(*out.model, X.view(), table, index, out.rows, top_features, ctx,
                                                   &out.space, context_rows));
  return out;
}

}  // namespace vedette::detector
