#include "services/triage/adapters/pg_anomaly_store.h"

#include <google/protobuf/util/time_util.h>

#include "base/ids.h"
#include "base/status.h"
#include "services/triage/adapters/json.h"
#include "storage/copy.h"
#include "storage/outbox.h"
#include "storage/transaction.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::triage {
namespace {

using storage::Params;
using storage::Row;
using storage::Tx;

constexpr char kColumns[] =
    "anomaly_id, job, dataset, row_index, entity, metric, anomaly_score, probability, confidence, severity, threshold, "
    "features, summary, detection_methods, model, raw_data, metadata, status, detect_time, create_time, update_time, triage_verdict";
constexpr char kFeedbackColumns[] = "feedback_id, verdict, feedback_confidence, comment, business_context, author, create_time";

Anomaly Read(const Row& r) {
  Anomaly a;
  a.id = r.Text("anomaly_id");
  a.job = r.Text("job");
  a.dataset = r.Text("dataset");
  a.row_index = r.Int64("row_index");
  a.entity = r.Text("entity");
  a.metric = r.Text("metric");
  a.score = r.Double("anomaly_score");
  a.probability = r.Double("probability");
  a.confidence = r.Double("confidence");
  a.severity = static_cast<int>(r.Int64("severity"));
  a.threshold = r.Double("threshold");
  a.features = FeaturesFromJson(r.Text("features"));
  a.summary = r.Text("summary");
  a.detection_methods = r.TextArray("detection_methods");
  a.model = r.Text("model");
  a.raw_data = CellsFromJson(r.Text("raw_data"));
  a.metadata = r.Text("metadata");
  a.status = ParseStatus(r.Text("status"));
  a.detect_time = r.Time("detect_time");
  a.create_time = r.Time("create_time");
  a.update_time = r.Time("update_time");
  if (!r.IsNull("triage_verdict")) a.verdict = VerdictFromJson(r.Text("triage_verdict"));
  return a;
}

Feedback ReadFeedback(const Row& r) {
  Feedback f;
  f.id = r.Text("feedback_id");
  f.verdict = ParseVerdict(r.Text("verdict"));
  f.confidence = r.Double("feedback_confidence");
  f.comment = r.Text("comment");
  f.business_context = r.Text("business_context");
  f.author = r.Text("author");
  f.create_time = r.Time("create_time");
  return f;
}

/// A text[] literal for COPY.
std::string TextArray(const std::vector<std::string>& values) { return storage::Param(values).text(); }

absl::Status Insert(Tx& tx, const std::vector<Anomaly>& anomalies) {
  if (anomalies.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto bulk,
                   storage::BulkInsert::Begin(tx, {.table = "anomalies",
                                                   .columns = {"tenant_id", "anomaly_id", "job", "dataset", "row_index", "entity", "metric",
                                                               "anomaly_score", "probability", "confidence", "severity", "threshold",
                                                               "actual_value", "expected_value", "features", "summary",
                                                               "detection_methods", "model", "raw_data", "metadata", "detect_time"},
                                                   .on_conflict = "on conflict (tenant_id, anomaly_id) do nothing"}));
  for (const Anomaly& a : anomalies) {
    bulk.Text(tx.tenant());
    bulk.Text(a.id);
    bulk.Text(a.job);
    bulk.Text(a.dataset);
    bulk.Int64(a.row_index);
    bulk.Text(a.entity);
    bulk.Text(a.metric);
    bulk.Double(a.score);
    bulk.Double(a.probability);
    bulk.Double(a.confidence);
    bulk.Int64(a.severity);
    bulk.Double(a.threshold);
    bulk.Value(a.ActualValue());
    bulk.Value(a.ExpectedValue());
    bulk.Text(FeaturesToJson(a.features));
    bulk.Text(a.summary);
    bulk.Text(TextArray(a.detection_methods));
    bulk.Text(a.model);
    bulk.Text(CellsToJson(a.raw_data));
    bulk.Text(a.metadata);
    bulk.Time(a.detect_time);
    RETURN_IF_ERROR(bulk.EndRow());
  }
  return bulk.Finish().status();
}

absl::Status AddStored(Tx& tx, const TaskResult& result, int64_t anomaly_count) {
  events::v1::AnomaliesStored stored;
  stored.set_tenant(tx.tenant());
  stored.set_job(result.job);
  stored.set_task(result.task);
  stored.set_rows_scored(result.rows_scored);
  stored.set_anomaly_count(anomaly_count);
  storage::OutboxMessage message;
  message.id = result.task + "/stored";
  message.subject = "facts.anomaly.stored";
  message.type = "vedette.anomaly.stored.v1";
  message.payload = stored.SerializeAsString();
  return storage::Outbox::Add(tx, std::move(message)).status();
}

/// The fact that a person judged an anomaly, in the transaction that says so.
absl::Status AddGiven(Tx& tx, const std::string& anomaly_id, const Feedback& feedback) {
  events::v1::FeedbackGiven given;
  given.set_tenant(tx.tenant());
  given.set_anomaly("anomalies/" + anomaly_id);
  given.set_feedback(fmt::format("anomalies/{}/feedback/{}", anomaly_id, feedback.id));
  given.set_verdict(std::string(Name(feedback.verdict)));
  given.set_confidence(feedback.confidence);
  *given.mutable_create_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(feedback.create_time));
  storage::OutboxMessage message;
  message.id = "feedback/" + feedback.id;
  message.subject = "facts.feedback.given";
  message.type = "vedette.feedback.given.v1";
  message.payload = given.SerializeAsString();
  return storage::Outbox::Add(tx, std::move(message)).status();
}

/// The condition "after the cursor" for a mixed order: (a < $1) or (a = $1 and b > $2) or ...
std::string AfterCursor(const std::vector<Order>& order, const std::vector<std::string>& cursor, Params* params) {
  static const std::map<std::string, std::string, std::less<>> kCasts = {
      {"create_time", "timestamptz"}, {"anomaly_score", "float8"}, {"severity", "smallint"}, {"row_index", "bigint"}};
  std::string condition, equal;
  for (size_t i = 0; i <= order.size(); ++i) {
    const bool id = i == order.size();
    const std::string column = id ? "anomaly_id" : order[i].column;
    const bool descending = !id && order[i].descending;
    params->emplace_back(cursor[i]);
    const std::string value = fmt::format("${}::{}", params->size(), id ? "uuid" : kCasts.at(column));
    condition += fmt::format("{}({}{} {} {})", condition.empty() ? "" : " or ", equal, column, descending ? "<" : ">", value);
    equal += fmt::format("{} = {} and ", column, value);
  }
  return "(" + condition + ")";
}

std::string CursorValue(const Order& order, const Row& r) {
  return std::string(r.Text(order.column));
}

}  // namespace

absl::Status PgAnomalyStore::Store(const std::string& tenant, const TaskResult& result) {
  bool complete = false;
  const absl::Status done = storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    complete = false;
    RETURN_IF_ERROR(Insert(tx, result.anomalies));
    // The row's lock makes parts that arrive together count one after the other.
    ASSIGN_OR_RETURN(const auto counted,
                     tx.Exec("insert into task_results as t (tenant_id, task, part_count, parts, rows_scored, anomaly_count) "
                             "values ($1, $2, $3, array[$4::int], $5, $6) on conflict (tenant_id, task) do update set "
                             "anomaly_count = t.anomaly_count + case when $4::int = any(t.parts) then 0 else excluded.anomaly_count end, "
                             "parts = case when $4::int = any(t.parts) then t.parts else t.parts || $4::int end, update_time = now() "
                             "returning cardinality(parts) >= part_count as complete, anomaly_count",
                             {tx.tenant(), result.task, result.part_count, result.part, result.rows_scored, result.anomalies.size()}));
    complete = counted[0].Bool("complete");
    return complete ? AddStored(tx, result, counted[0].Int64("anomaly_count")) : absl::OkStatus();
  });
  RETURN_IF_ERROR(done);
  if (complete) stored_();
  return absl::OkStatus();
}

absl::StatusOr<Anomaly> PgAnomalyStore::Get(const std::string& tenant, const std::string& id) {
  Anomaly anomaly;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from anomalies where tenant_id = $1 and anomaly_id = $2::uuid", kColumns),
                                              {tx.tenant(), id}));
    if (rows.empty()) return NotFound("anomalies/{} does not exist", id);
    anomaly = Read(rows[0]);
    return absl::OkStatus();
  }));
  return anomaly;
}

absl::StatusOr<Page> PgAnomalyStore::List(const std::string& tenant, const Listing& listing) {
  Page page;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    page = {};
    Params params(listing.params.begin(), listing.params.end());
    std::string where = "(" + listing.where + ")";
    if (!listing.cursor.empty()) where += " and " + AfterCursor(listing.order, listing.cursor, &params);
    params.emplace_back(tx.tenant());
    std::string order;
    for (const Order& o : listing.order) order += fmt::format("{} {}, ", o.column, o.descending ? "desc" : "asc");
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from anomalies where {} and tenant_id = ${} order by {}anomaly_id limit {}",
                                                          kColumns, where, params.size(), order, listing.limit + 1),
                                              params));
    const int count = std::min(rows.rows(), listing.limit);
    for (int i = 0; i < count; ++i) page.anomalies.push_back(Read(rows[i]));
    if (rows.rows() > listing.limit) {
      for (const Order& o : listing.order) page.next_cursor.push_back(CursorValue(o, rows[count - 1]));
      page.next_cursor.push_back(page.anomalies.back().id);
    }
    return absl::OkStatus();
  }));
  return page;
}

absl::StatusOr<Statistics> PgAnomalyStore::Count(const std::string& tenant, const Listing& listing) {
  Statistics stats;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    stats = {};
    Params params(listing.params.begin(), listing.params.end());
    params.emplace_back(tx.tenant());
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select severity, status, detection_methods, count(*) as n from anomalies "
                                                          "where ({}) and tenant_id = ${} group by severity, status, detection_methods",
                                                          listing.where, params.size()),
                                              params));
    for (const Row row : rows) {
      const int64_t n = row.Int64("n");
      stats.total += n;
      stats.by_severity[static_cast<int>(row.Int64("severity"))] += n;
      stats.by_status[std::string(row.Text("status"))] += n;
      for (const std::string& method : row.TextArray("detection_methods")) stats.by_method[method] += n;
    }
    return absl::OkStatus();
  }));
  return stats;
}

absl::StatusOr<Anomaly> PgAnomalyStore::SetStatus(const std::string& tenant, const std::string& id, Status status) {
  Anomaly anomaly;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("update anomalies set status = $3, update_time = now() "
                                                          "where tenant_id = $1 and anomaly_id = $2::uuid returning {}", kColumns),
                                              {tx.tenant(), id, Name(status)}));
    if (rows.empty()) return NotFound("anomalies/{} does not exist", id);
    anomaly = Read(rows[0]);
    return absl::OkStatus();
  }));
  return anomaly;
}

absl::Status PgAnomalyStore::SetVerdict(const std::string& tenant, const std::string& id, const TriageVerdict& verdict) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    return tx.Exec("update anomalies set triage_verdict = $3::jsonb where tenant_id = $1 and anomaly_id = $2::uuid and "
                   "($4 <> 'none' or coalesce(triage_verdict->>'source', 'none') = 'none')",
                   {tx.tenant(), id, VerdictToJson(verdict), verdict.source}).status();
  });
}

absl::StatusOr<std::vector<Judged>> PgAnomalyStore::ListJudged(const std::string& tenant, const Anomaly& like) {
  std::vector<Judged> all;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec("with newest as (select anomaly_id, verdict, create_time, feedback_id from anomaly_feedback "
                             "where tenant_id = $1 order by create_time desc, feedback_id limit 1000), "
                             "last as (select distinct on (anomaly_id) anomaly_id, verdict from newest "
                             "order by anomaly_id, create_time desc, feedback_id) "
                             "select a.features, a.entity, last.verdict from last join anomalies a on a.tenant_id = $1 and "
                             "a.anomaly_id = last.anomaly_id where a.anomaly_id <> $2::uuid and a.detection_methods && $3::text[]",
                             {tx.tenant(), like.id, like.detection_methods}));
    all.clear();
    for (const Row row : rows) {
      all.push_back({.features = FeaturesFromJson(row.Text("features")), .entity = std::string(row.Text("entity")),
                     .verdict = ParseVerdict(row.Text("verdict"))});
    }
    return absl::OkStatus();
  }));
  return all;
}

absl::StatusOr<Feedback> PgAnomalyStore::AddFeedback(const std::string& tenant, const std::string& anomaly_id,
                                                     const Feedback& feedback, const std::string& request_id) {
  Feedback stored;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto touched, tx.Exec("update anomalies set update_time = now() where tenant_id = $1 and anomaly_id = $2::uuid",
                                                 {tx.tenant(), anomaly_id}));
    if (touched.affected() == 0) return NotFound("anomalies/{} does not exist", anomaly_id);
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("insert into anomaly_feedback (tenant_id, anomaly_id, feedback_id, verdict, feedback_confidence, comment, "
                                         "business_context, author, request_id) values ($1, $2::uuid, $3::uuid, $4, $5, $6, $7::jsonb, $8, $9) "
                                         "on conflict (tenant_id, request_id) where request_id is not null do nothing returning {}", kFeedbackColumns),
                             {tx.tenant(), anomaly_id, NewUuidV7(absl::Now()), Name(feedback.verdict), feedback.confidence, feedback.comment,
                              feedback.business_context, feedback.author,
                              request_id.empty() ? storage::Param(nullptr) : storage::Param(request_id)}));
    if (rows.empty()) {
      ASSIGN_OR_RETURN(const auto earlier, tx.Exec(fmt::format("select {} from anomaly_feedback where tenant_id = $1 and request_id = $2", kFeedbackColumns),
                                                   {tx.tenant(), request_id}));
      if (earlier.empty()) return absl::AbortedError("the entry of this request_id was just removed");
      stored = ReadFeedback(earlier[0]);
      return absl::OkStatus();
    }
    stored = ReadFeedback(rows[0]);
    if (absl::Status added = AddGiven(tx, anomaly_id, stored); !added.ok()) return added;
    return tx.Exec("update anomalies set status = $3 where tenant_id = $1 and anomaly_id = $2::uuid",
                   {tx.tenant(), anomaly_id, Name(StatusAfter(feedback.verdict))}).status();
  }));
  stored_();
  return stored;
}

absl::StatusOr<std::vector<Feedback>> PgAnomalyStore::ListFeedback(const std::string& tenant, const std::string& anomaly_id) {
  std::vector<Feedback> all;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from anomaly_feedback where tenant_id = $1 and anomaly_id = $2::uuid "
                                                          "order by create_time limit 1000", kFeedbackColumns),
                                              {tx.tenant(), anomaly_id}));
    all.clear();
    for (const Row row : rows) all.push_back(ReadFeedback(row));
    return absl::OkStatus();
  }));
  return all;
}

}  // namespace vedette::triage
