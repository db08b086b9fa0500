#include "services/explainer/core/explainer.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/hash.h"
#include "base/status.h"
#include "services/explainer/core/similar.h"

namespace vedette::explainer {
namespace {

/// Without a deadline of the caller's one explanation gets this long.
constexpr absl::Duration kLongest = absl::Minutes(1);
/// Part of the time that is left which one step may take; the rest is for those after it.
constexpr double kShare = 0.6;

Context PartOf(const Context& ctx) {
  Context part = ctx;
  const absl::Time now = absl::Now();
  part.deadline = now + kShare * std::min(kLongest, ctx.deadline - now);
  return part;
}

std::string Subject(const Finding& finding) { return fmt::format("Row {}", finding.row_index); }

bool IsShap(std::string_view method) {
  return method == kShap || method == "tree_shap" || method == "exact" || method == "kernel_shap";
}

/// Errors after which the native explanation is still worth something; it may be stored already.
bool GivesWay(const absl::Status& s) {
  return absl::IsFailedPrecondition(s) || absl::IsDeadlineExceeded(s) || absl::IsNotFound(s) ||
         absl::IsUnavailable(s) || absl::IsResourceExhausted(s) || absl::IsDataLoss(s);
}

std::string HashOf(const Matrix& row) {
  return Sha256Hex(
      {reinterpret_cast<const char*>(row.data()), static_cast<size_t>(row.rows() * row.cols()) * sizeof(double)});
}

/// The template's words for contributions that are known already.
std::string TextFor(const Finding& finding, const explain::Explanation& e, double threshold,
                    const std::optional<explain::OffSince>& since = std::nullopt) {
  explain::Request request{.subject = Subject(finding),
                           .score = finding.score,
                           .threshold = threshold,
                           .space = e.space,
                           .features = {},
                           .features_left_out = e.features_left_out,
                           .since = since};
  double shares = 0;
  for (const explain::Contribution& c : e.contributions) {
    outlier::FeatureContribution f;
    f.feature = c.feature_name;
    f.lag = c.lag;
    f.contribution = c.contribution;
    f.actual = c.actual;
    f.expected = c.expected;
    f.actual_text = c.actual_text;
    f.expected_text = c.expected_text;
    f.high = c.high;
    f.low = c.low;
    request.features.push_back(std::move(f));
    shares += c.share;
  }
  if (e.features_left_out > 0 && shares > 0) request.share_left_out = std::max(0.0, 1 - shares);
  return explain::Explain(request).text;
}

void Take(const explain::MethodResult& result, StoredExplanation* out) {
  out->mode = result.mode;
  out->explained = result.explained;
  out->background = result.background;
  out->background_rows = result.background_rows;
  if (result.additive && std::isfinite(result.expected) && std::isfinite(result.output)) {
    out->expected = result.expected;
    out->output = result.output;
    if (std::isfinite(result.additivity_error)) out->additivity_error = result.additivity_error;
  }
  out->exact = result.exact;
  out->r2 = result.r2 && std::isfinite(*result.r2) ? result.r2 : std::nullopt;
  out->warnings = result.warnings;
}

}  // namespace

void Answer::Degrade(std::string_view reason) {
  std::string& all = explanation.degraded_reason;
  all += fmt::format("{}{}", all.empty() ? "" : "; ", reason);
}

StoredExplanation FromContributions(Finding* finding, const std::string& space,
                                    std::vector<outlier::FeatureContribution> features, int64_t feature_count) {
  const int64_t left_out = std::max<int64_t>(0, feature_count - static_cast<int64_t>(features.size()));
  double shares = 0;
  for (const outlier::FeatureContribution& f : features) shares += f.share;
  StoredExplanation stored;
  stored.anomaly_id = finding->anomaly_id;
  stored.id = ExplanationId(finding->anomaly_id, kNative, finding->model, "{}");
  stored.model = finding->model;
  stored.explained = "anomaly score";
  stored.explanation = explain::Explain({.subject = Subject(*finding),
                                         .score = finding->score,
                                         .threshold = finding->threshold,
                                         .space = space,
                                         .features = std::move(features),
                                         .features_left_out = left_out,
                                         .share_left_out = left_out > 0 && shares > 0 ? std::max(0.0, 1 - shares) : 0});
  stored.explanation.method = kNative;
  finding->signature = SignatureOf(stored.explanation.contributions);
  return stored;
}

/// One finding while it is explained. Its model and row are fetched when they are first needed.
struct Explainer::Work {
  absl::StatusOr<const ModelRow*> Row() {
    if (!row) {
      ASSIGN_OR_RETURN(row, sources.row(finding));
      row_hash = HashOf(row->features);
    }
    return &*row;
  }
  const StoredExplanation* Stored(const std::string& id) const {
    const auto it = std::find_if(stored.begin(), stored.end(), [&](const StoredExplanation& e) { return e.id == id; });
    return it == stored.end() ? nullptr : &*it;
  }

  std::string tenant;
  Finding finding;
  std::vector<StoredExplanation> stored;  ///< of this finding
  const Sources& sources;
  std::optional<ModelRow> row = {};
  std::string row_hash = {};  ///< after Row
};

absl::Status Explainer::Take(const std::string& tenant, const std::vector<Finding>& findings,
                             const std::vector<StoredExplanation>& explanations) {
  RETURN_IF_ERROR(store_->Write(tenant, findings, explanations));
  std::vector<Task> tasks;
  const auto ask = [&](bool enabled, outlier::Severity from, const char* method) {
    if (!enabled || from == outlier::Severity::kNone) return;
    for (const Finding& f : findings) {
      if (f.score.severity >= from) tasks.push_back({.anomaly_id = f.anomaly_id, .ask = {.method = method}});
    }
  };
  ask(options_.shap_enabled, options_.shap_from, kShap);
  ask(options_.lime_enabled, options_.lime_from, "lime");
  return tasks.empty() ? absl::OkStatus() : queue_->Add(tenant, tasks);
}

absl::StatusOr<Explainer::Work> Explainer::Begin(const std::string& tenant, const std::string& anomaly_id,
                                                 const Sources& sources) {
  ASSIGN_OR_RETURN(std::optional<Finding> finding, store_->FindFinding(tenant, anomaly_id));
  if (!finding) {
    // The fact has not come by yet, or came before findings were kept.
    ASSIGN_OR_RETURN(finding, sources.finding(anomaly_id));
  }
  ASSIGN_OR_RETURN(auto stored, store_->List(tenant, anomaly_id));
  return Work{.tenant = tenant, .finding = *std::move(finding), .stored = std::move(stored), .sources = sources};
}

absl::Status Explainer::Refusal(const std::string& method) const {
  if (IsShap(method) && !options_.shap_enabled)
    return FailedPrecondition("Shapley values are switched off (shap_enabled)");
  if (method == "lime" && !options_.lime_enabled)
    return FailedPrecondition("local linear models are switched off (lime_enabled)");
  return absl::OkStatus();
}

absl::StatusOr<StoredExplanation> Explainer::Numbers(Work& work, Ask ask, const Context& ctx) {
  RETURN_IF_ERROR(Refusal(ask.method));
  if (ask.method == kShap) {
    ASSIGN_OR_RETURN(const ModelRow* row, work.Row());
    ask.method = explain::ShapMethodFor(row->model->model());
    if (ask.method != "kernel_shap") ask.options.samples = 0;
    RETURN_IF_ERROR(Check(&ask));  // its first mode
  }
  ask.options.background_rows = options_.background_samples;
  StoredExplanation made;
  made.anomaly_id = work.finding.anomaly_id;
  made.model = work.finding.model;
  made.explanation.method = ask.method;
  made.config = ConfigOf(ask);
  made.id = ExplanationId(made.anomaly_id, ask.method, made.model, made.config);
  if (const StoredExplanation* stored = work.Stored(made.id)) {
    Note(ask.method, "stored");
    return *stored;
  }
  ASSIGN_OR_RETURN(const ModelRow* row, work.Row());
  made.row_hash = work.row_hash;
  // Equal rows, of which the model learned from one alone, have different scores to explain.
  std::optional<StoredExplanation> equal;
  if (!row->model->model().descriptor().own_training_scores) {
    ASSIGN_OR_RETURN(equal, store_->FindEqual(work.tenant, made));
  }
  if (equal) {
    equal->id = made.id;
    equal->anomaly_id = made.anomaly_id;
    equal->explanation.text = TextFor(work.finding, equal->explanation, row->model->model().scale().threshold());
    equal->text_source = "template";
    equal->degraded_reason.clear();
    equal->create_time = absl::Now();
    RETURN_IF_ERROR(store_->Write(work.tenant, {}, {*equal}));
    work.stored.push_back(*equal);
    Note(ask.method, "reused");
    return *std::move(equal);
  }
  const absl::Time start = absl::Now();
  auto run = Run(work, ask, std::move(made), ctx);
  Note(ask.method, run.ok() ? "computed" : "failed", absl::Now() - start);
  return run;
}

absl::StatusOr<StoredExplanation> Explainer::Run(Work& work, const Ask& ask, StoredExplanation made,
                                                 const Context& ctx) {
  ASSIGN_OR_RETURN(const ModelRow* row, work.Row());
  const outlier::Model& model = row->model->model();
  const MatrixView X = row->features.view();
  ASSIGN_OR_RETURN(const explain::Method* method, explain::FindMethod(ask.method));
  ASSIGN_OR_RETURN(explain::MethodResult result, explain::RunMethod(*row->model, X, *method, ask.options, ctx));
  Context rest = ctx;  // the words take no time to speak of, and an answer that is there is worth them
  rest.deadline = absl::InfiniteFuture();
  std::string as_new;  // the native method leaves the row itself out, as its score does
  if (ask.method != kNative) {
    ASSIGN_OR_RETURN(as_new, explain::ScoredAsNew(model, X, work.finding.score, rest));
  }
  if (result.counterfactual && result.counterfactual->already_normal && work.finding.score.anomaly) {
    return FailedPrecondition("nothing needs to change: {}", as_new.empty() ? "the model finds the row normal" : as_new);
  }
  if (!as_new.empty()) result.warnings.push_back(as_new + ", which is what is explained here");
  ASSIGN_OR_RETURN(made.explanation, explain::ExplainWith(model, X, result, work.finding.score, Subject(work.finding),
                                                          &row->table, rest));
  explainer::Take(result, &made);
  if (result.counterfactual) {
    const explain::Counterfactual& c = *result.counterfactual;
    WordedCounterfactual worded{.found = c.found,
                                .already_normal = c.already_normal,
                                .minimal = c.minimal,
                                .changes = {},
                                .score = c.score,
                                .threshold = model.scale().threshold(),
                                .frozen = ask.options.frozen};
    ASSIGN_OR_RETURN(const auto changes, explain::ChangesOf(model, X, c, &row->table, rest));
    for (const explain::Change& change : changes) worded.changes.push_back({change.feature, change.from, change.to});
    made.counterfactual = std::move(worded);
  }
  made.create_time = absl::Now();
  // What the deadline cut short is an answer to this caller only: the next one may have more time.
  const bool whole = !result.cut_short && ctx.Check().ok();
  if (whole) {
    RETURN_IF_ERROR(store_->Write(work.tenant, {}, {made}));
    work.stored.push_back(made);
  } else if (made.counterfactual && !made.counterfactual->found) {
    made.degraded_reason = "the time was too short to find a counterfactual";
  }
  return made;
}

absl::StatusOr<StoredExplanation> Explainer::NumbersOrNative(Work& work, const Ask& ask, const Context& ctx) {
  auto made = Numbers(work, ask, PartOf(ctx));
  if (made.ok() || ask.method == kNative || !GivesWay(made.status())) return made;
  RETURN_IF_ERROR(ctx.Check());
  auto native = Numbers(work, {.method = kNative, .options = {}}, PartOf(ctx));
  if (!native.ok()) return made.status();
  Note(ask.method, "degraded");
  native->degraded_reason = fmt::format("{}: {}; this is the native explanation", ask.method, Message(made.status()));
  return native;
}

absl::Status Explainer::AddCounterfactual(Work& work, const Ask& ask, Answer* answer, const Context& ctx) {
  if (answer->explanation.explanation.method == kCounterfactual) return absl::OkStatus();
  Ask what_if{.method = kCounterfactual, .options = {}};
  what_if.options.frozen = ask.options.frozen;
  what_if.options.ranges = ask.options.ranges;
  const auto found = Numbers(work, what_if, PartOf(ctx));
  if (absl::IsInvalidArgument(found.status()) || absl::IsCancelled(found.status())) return found.status();
  if (!found.ok()) {
    answer->Degrade(fmt::format("no counterfactual: {}", Message(found.status())));
    return absl::OkStatus();
  }
  answer->explanation.counterfactual = found->counterfactual;
  if (!found->degraded_reason.empty()) answer->Degrade(found->degraded_reason);
  return absl::OkStatus();
}

void Explainer::AddNearby(const Work& work, Answer* answer) {
  Finding finding = work.finding;
  if (finding.signature.empty()) {
    const StoredExplanation* native = work.Stored(ExplanationId(finding.anomaly_id, kNative, finding.model, "{}"));
    finding.signature = SignatureOf((native != nullptr ? *native : answer->explanation).explanation.contributions);
  }
  if (options_.similar > 0 && !finding.signature.empty()) {
    auto candidates = store_->Candidates(work.tenant, finding);
    if (candidates.ok()) {
      answer->similar = NearestOf(finding, *std::move(candidates), options_.similar);
    } else {
      answer->Degrade(fmt::format("no similar incidents: {}", Message(candidates.status())));
    }
  }
  if (auto changes = work.sources.changes(finding); changes.ok()) {
    answer->changes = *std::move(changes);
  } else {
    answer->Degrade(fmt::format("no change events: {}", Message(changes.status())));
  }
  if (finding.entity.empty()) return;  // it has no peers
  if (auto peers = work.sources.peers(finding); peers.ok()) {
    answer->peers = *std::move(peers);
  } else {
    answer->Degrade(fmt::format("no peers: {}", Message(peers.status())));
  }
}

void Explainer::AddSince(const Work& work, Answer* answer) {
  const Finding& finding = work.finding;
  if (finding.event_time == absl::InfinitePast()) return;  // its row has no time
  const auto timeline = work.sources.timeline(finding);
  if (timeline.ok() && *timeline == nullptr) return;
  const auto odd = timeline.ok() ? store_->OddRows(work.tenant, finding) : timeline.status();
  if (!odd.ok()) return answer->Degrade(fmt::format("not known since when: {}", Message(odd.status())));
  answer->since = (*timeline)->Since(finding.row_index, [&](int64_t row) { return odd->contains(row); });
  if (!answer->since) return;
  answer->entity = finding.entity;
  explain::Explanation& e = answer->explanation.explanation;
  if (answer->explanation.text_source == "template") e.text = TextFor(finding, e, finding.threshold, answer->since);
}

/// The one place where the template's words may give way to others. The numbers are complete here, and stay.
void Explainer::PutIntoWords(const Work& work, Answer* answer, const Context& ctx) {
  if (wording_ == nullptr || answer->explanation.text_source != "template") return;
  wording_->Word(work.tenant, work.finding, *answer, ctx);
  if (answer->explanation.text_source == "template" || work.Stored(answer->explanation.id) == nullptr) return;
  const absl::Status kept = store_->SetText(work.tenant, answer->explanation);
  if (!kept.ok()) answer->Degrade(fmt::format("the words could not be kept: {}", Message(kept)));
}

absl::StatusOr<Answer> Explainer::Explain(const std::string& tenant, const std::string& anomaly_id, Ask ask,
                                          const Sources& sources, const Context& ctx) {
  RETURN_IF_ERROR(Check(&ask));
  ASSIGN_OR_RETURN(Work work, Begin(tenant, anomaly_id, sources));
  Answer answer{.explanation = {},
                .when = work.finding.When(),
                .entity = {},
                .since = {},
                .similar = {},
                .changes = {},
                .peers = {}};
  ASSIGN_OR_RETURN(answer.explanation, NumbersOrNative(work, ask, ctx));
  if (ask.numbers_only) return answer;
  RETURN_IF_ERROR(AddCounterfactual(work, ask, &answer, ctx));
  AddNearby(work, &answer);
  AddSince(work, &answer);
  PutIntoWords(work, &answer, ctx);
  // Other words do not say it, and it changes as further rows are scored: never stored.
  if (answer.since && answer.explanation.text_source != "template")
    answer.explanation.explanation.text += " " + explain::SinceSentence(*answer.since);
  return answer;
}

absl::StatusOr<Answer> Explainer::ExplainLater(const std::string& tenant, const std::string& anomaly_id, Ask ask,
                                               const Sources& sources, const Context& ctx) {
  RETURN_IF_ERROR(Check(&ask));
  ASSIGN_OR_RETURN(Work work, Begin(tenant, anomaly_id, sources));
  Ask native{.method = kNative, .options = {}, .numbers_only = ask.numbers_only};
  if (ask.method == kNative || !Refusal(ask.method).ok())
    return Explain(tenant, anomaly_id, std::move(ask), sources, ctx);
  const auto matches = [&](const std::string& method) {
    Ask known = ask;
    known.method = method;
    if (method != "kernel_shap" && ask.method == kShap) known.options.samples = 0;
    if (!Check(&known).ok()) return false;
    known.options.background_rows = options_.background_samples;
    return work.Stored(ExplanationId(anomaly_id, method, work.finding.model, ConfigOf(known))) != nullptr;
  };
  const bool there = ask.method == kShap ? matches("tree_shap") || matches("kernel_shap") : matches(ask.method);
  if (there) return Explain(tenant, anomaly_id, std::move(ask), sources, ctx);
  RETURN_IF_ERROR(queue_->Add(tenant, {{.anomaly_id = anomaly_id, .ask = ask}}));
  native.numbers_only = true;
  ASSIGN_OR_RETURN(Answer answer, Explain(tenant, anomaly_id, std::move(native), sources, ctx));
  answer.Degrade(fmt::format("{} is being computed: ask again, or list the explanations", ask.method));
  return answer;
}

absl::Status Explainer::Compute(const std::string& tenant, const std::string& anomaly_id, Ask ask,
                                const Sources& sources, const Context& ctx) {
  RETURN_IF_ERROR(Check(&ask));
  ASSIGN_OR_RETURN(Work work, Begin(tenant, anomaly_id, sources));
  const auto made = Numbers(work, ask, ctx);
  if (made.ok() && work.Stored(made->id) != nullptr) return absl::OkStatus();
  if (made.ok() || absl::IsDeadlineExceeded(ctx.Check()))
    return FailedPrecondition("{} does not end within its time", ask.method);
  return made.status();
}

}  // namespace vedette::explainer
