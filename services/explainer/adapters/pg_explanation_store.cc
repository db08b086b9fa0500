#include "services/explainer/adapters/pg_explanation_store.h"

#include <algorithm>

#include "base/status.h"
#include "services/explainer/adapters/json.h"
#include "services/explainer/core/similar.h"
#include "storage/copy.h"
#include "storage/transaction.h"

namespace vedette::explainer {
namespace {

using storage::Row;
using storage::Tx;

constexpr char kColumns[] =
    "anomaly_id, explanation_id, method, mode, config, space, contributions, no_single_driver, explanation_text, "
    "text_source, "
    "degraded_reason, model, row_hash, details, counterfactual, create_time";
constexpr char kFindingColumns[] =
    "f.anomaly_id, f.model, f.algorithm, f.dataset, f.row_index, f.entity, f.metric, f.anomaly_score, f.probability, "
    "f.confidence, "
    "f.severity, f.threshold, f.detect_time, f.event_time, f.signature";
/// A driver may be rare: among this many of the newest findings it is looked for.
constexpr int kLookedThrough = 20000;
constexpr int kCandidates = 1000;
constexpr int kOddRows = 50000;

StoredExplanation ReadExplanation(const Row& r) {
  StoredExplanation e;
  e.id = r.Text("explanation_id");
  e.anomaly_id = r.Text("anomaly_id");
  e.explanation.method = r.Text("method");
  e.explanation.space = r.Text("space");
  e.explanation.contributions = ContributionsFromJson(r.Text("contributions"));
  e.explanation.no_single_driver = r.Bool("no_single_driver");
  e.explanation.text = r.Text("explanation_text");
  e.mode = r.Text("mode");
  e.config = r.Text("config");
  e.text_source = r.Text("text_source");
  e.degraded_reason = r.Text("degraded_reason");
  e.model = r.Text("model");
  e.row_hash = r.Text("row_hash");
  DetailsFromJson(r.Text("details"), &e);
  if (!r.IsNull("counterfactual")) e.counterfactual = CounterfactualFromJson(r.Text("counterfactual"));
  e.create_time = r.Time("create_time");
  return e;
}

Finding ReadFinding(const Row& r) {
  Finding f;
  f.anomaly_id = r.Text("anomaly_id");
  f.model = r.Text("model");
  f.algorithm = r.Text("algorithm");
  f.dataset = r.Text("dataset");
  f.row_index = r.Int64("row_index");
  f.entity = r.Text("entity");
  f.metric = r.Text("metric");
  f.score = {.score = r.Double("anomaly_score"),
             .probability = r.Double("probability"),
             .confidence = r.Double("confidence"),
             .anomaly = true,
             .severity = static_cast<outlier::Severity>(r.Int64("severity"))};
  f.threshold = r.Double("threshold");
  f.detect_time = r.Time("detect_time");
  if (!r.IsNull("event_time")) f.event_time = r.Time("event_time");
  f.signature = SignatureFromJson(r.Text("signature"));
  return f;
}

std::vector<std::string> CleanDrivers(const Finding& finding) {
  std::vector<std::string> drivers = DriversOf(finding.signature);
  for (std::string& d : drivers) d = Clean(std::move(d));
  return drivers;
}

absl::Status WriteFindings(Tx& tx, const std::vector<Finding>& findings) {
  if (findings.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      auto bulk, storage::BulkInsert::Begin(
                     tx, {.table = "findings",
                          .columns = {"tenant_id", "anomaly_id", "model", "algorithm", "dataset", "row_index", "entity",
                                      "metric", "anomaly_score", "probability", "confidence", "severity", "threshold",
                                      "detect_time", "event_time", "signature", "drivers"},
                          .on_conflict = "on conflict do nothing"}));
  for (const Finding& f : findings) {
    bulk.Text(tx.tenant());
    bulk.Text(f.anomaly_id);
    bulk.Text(f.model);
    bulk.Text(f.algorithm);
    bulk.Text(f.dataset);
    bulk.Int64(f.row_index);
    bulk.Text(Clean(f.entity));
    bulk.Text(Clean(f.metric));
    bulk.Double(f.score.score);
    bulk.Double(f.score.probability);
    bulk.Double(f.score.confidence);
    bulk.Int64(static_cast<int64_t>(f.score.severity));
    bulk.Double(f.threshold);
    bulk.Time(f.detect_time);
    if (f.event_time == absl::InfinitePast()) {
      bulk.Null();
    } else {
      bulk.Time(f.event_time);
    }
    bulk.Text(SignatureToJson(f.signature));
    bulk.Text(storage::Param(CleanDrivers(f)).text());
    RETURN_IF_ERROR(bulk.EndRow());
  }
  return bulk.Finish().status();
}

absl::Status WriteExplanations(Tx& tx, const std::vector<StoredExplanation>& all) {
  if (all.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      auto bulk, storage::BulkInsert::Begin(
                     tx, {.table = "anomaly_explanations",
                          .columns = {"tenant_id", "anomaly_id", "explanation_id", "method", "mode", "config", "space",
                                      "contributions", "no_single_driver", "explanation_text", "text_source",
                                      "degraded_reason", "model", "row_hash", "details", "counterfactual"},
                          .on_conflict = "on conflict do nothing"}));
  for (const StoredExplanation& e : all) {
    bulk.Text(tx.tenant());
    bulk.Text(e.anomaly_id);
    bulk.Text(e.id);
    bulk.Text(e.explanation.method);
    bulk.Text(e.mode);
    bulk.Text(e.config);
    bulk.Text(e.explanation.space);
    bulk.Text(ContributionsToJson(e.explanation.contributions));
    bulk.Bool(e.explanation.no_single_driver);
    bulk.Text(Clean(e.explanation.text));
    bulk.Text(e.text_source);
    bulk.Text(e.degraded_reason);
    bulk.Text(e.model);
    bulk.Text(e.row_hash);
    bulk.Text(DetailsToJson(e));
    if (e.counterfactual) {
      bulk.Text(CounterfactualToJson(*e.counterfactual));
    } else {
      bulk.Null();
    }
    RETURN_IF_ERROR(bulk.EndRow());
  }
  return bulk.Finish().status();
}

}  // namespace

absl::Status PgExplanationStore::Write(const std::string& tenant, const std::vector<Finding>& findings,
                                       const std::vector<StoredExplanation>& explanations) {
  if (findings.empty() && explanations.empty()) return absl::OkStatus();
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    RETURN_IF_ERROR(WriteFindings(tx, findings));
    return WriteExplanations(tx, explanations);
  });
}

absl::StatusOr<std::vector<StoredExplanation>> PgExplanationStore::List(const std::string& tenant,
                                                                        const std::string& anomaly_id) {
  std::vector<StoredExplanation> all;
  const auto list = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const auto rows,
        tx.Exec(fmt::format("select {} from anomaly_explanations where tenant_id = $1 and anomaly_id = $2::uuid "
                            "order by create_time, explanation_id limit 1000",
                            kColumns),
                {tx.tenant(), anomaly_id}));
    all.clear();
    for (const Row r : rows) all.push_back(ReadExplanation(r));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return all;
}

absl::StatusOr<std::optional<Finding>> PgExplanationStore::FindFinding(const std::string& tenant,
                                                                       const std::string& anomaly_id) {
  std::optional<Finding> found;
  const auto find = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("select {} from findings f where tenant_id = $1 and anomaly_id = $2::uuid",
                                         kFindingColumns),
                             {tx.tenant(), anomaly_id}));
    found = rows.empty() ? std::nullopt : std::optional(ReadFinding(rows[0]));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, find, storage::kReadOnly));
  return found;
}

absl::StatusOr<std::optional<StoredExplanation>> PgExplanationStore::FindEqual(const std::string& tenant,
                                                                               const StoredExplanation& like) {
  std::optional<StoredExplanation> found;
  const auto find = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const auto rows,
        tx.Exec(fmt::format("select {} from anomaly_explanations where tenant_id = $1 and row_hash = $2 and "
                            "row_hash <> '' and method = $3 and model = $4 and config = $5::jsonb "
                            "order by create_time, explanation_id limit 1",
                            kColumns),
                {tx.tenant(), like.row_hash, like.explanation.method, like.model, like.config}));
    found = rows.empty() ? std::nullopt : std::optional(ReadExplanation(rows[0]));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, find, storage::kReadOnly));
  return found;
}

absl::StatusOr<std::vector<SimilarIncident>> PgExplanationStore::Candidates(const std::string& tenant,
                                                                            const Finding& finding) {
  std::vector<SimilarIncident> all;
  const std::string sql = fmt::format(
      "with recent as (select f.* from findings f where tenant_id = $1 and algorithm = $2 order by detect_time desc "
      "limit {}), "
      "newest as (select anomaly_id from recent where drivers && $3::text[] order by detect_time desc, anomaly_id "
      "limit {}), "
      "judged as (select o.anomaly_id from finding_outcomes o join findings f on f.tenant_id = $1 and f.anomaly_id = "
      "o.anomaly_id "
      "where o.tenant_id = $1 and f.algorithm = $2 and f.drivers && $3::text[] order by o.feedback_time desc, "
      "o.anomaly_id limit {}) "
      "select {}, o.verdict, o.verdict_confidence from (select anomaly_id from newest union select anomaly_id from "
      "judged) c "
      "join findings f on f.tenant_id = $1 and f.anomaly_id = c.anomaly_id "
      "left join finding_outcomes o on o.tenant_id = $1 and o.anomaly_id = c.anomaly_id "
      "where not (f.dataset = $4 and f.row_index = $5) and f.anomaly_id <> $6::uuid",
      kLookedThrough, kCandidates, kCandidates, kFindingColumns);
  const auto find = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(sql, {tx.tenant(), finding.algorithm, CleanDrivers(finding),
                                                    finding.dataset, finding.row_index, finding.anomaly_id}));
    all.clear();
    for (const Row r : rows) {
      all.push_back({.finding = ReadFinding(r),
                     .similarity = 0,
                     .outcome = std::string(r.Text("verdict")),
                     .outcome_confidence = r.Double("verdict_confidence")});
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, find, storage::kReadOnly));
  return all;
}

absl::StatusOr<std::set<int64_t>> PgExplanationStore::OddRows(const std::string& tenant, const Finding& finding) {
  std::set<int64_t> rows;
  const std::string sql = fmt::format(
      "select distinct row_index from findings where tenant_id = $1 and dataset = $2 and model = $3 and entity = $4 "
      "and "
      "metric = $5 and event_time <= $6 limit {}",
      kOddRows + 1);
  const auto find = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto found, tx.Exec(sql, {tx.tenant(), finding.dataset, finding.model, Clean(finding.entity),
                                                     Clean(finding.metric), finding.event_time}));
    if (found.rows() > kOddRows) return FailedPrecondition("it has more than {} anomalies", kOddRows);
    rows.clear();
    for (const Row r : found) rows.insert(r.Int64("row_index"));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, find, storage::kReadOnly));
  return rows;
}

absl::Status PgExplanationStore::SetOutcome(const std::string& tenant, const Outcome& o) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    return tx
        .Exec(
            "insert into finding_outcomes as o (tenant_id, anomaly_id, verdict, verdict_confidence, feedback, "
            "feedback_time) "
            "values ($1, $2::uuid, $3, $4, $5, $6) on conflict (tenant_id, anomaly_id) do update set verdict = "
            "excluded.verdict, "
            "verdict_confidence = excluded.verdict_confidence, feedback = excluded.feedback, feedback_time = "
            "excluded.feedback_time "
            "where (o.feedback_time, o.feedback) < (excluded.feedback_time, excluded.feedback)",
            {tx.tenant(), o.anomaly_id, o.verdict, o.confidence, o.feedback, o.time})
        .status();
  });
}

absl::Status PgExplanationStore::SetText(const std::string& tenant, const StoredExplanation& e) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    return tx
        .Exec(
            "update anomaly_explanations set explanation_text = $4, text_source = $5 "
            "where tenant_id = $1 and anomaly_id = $2::uuid and explanation_id = $3::uuid",
            {tx.tenant(), e.anomaly_id, e.id, Clean(e.explanation.text), e.text_source})
        .status();
  });
}

}  // namespace vedette::explainer
