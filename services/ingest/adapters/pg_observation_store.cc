#include "services/ingest/adapters/pg_observation_store.h"

#include <optional>

#include "base/hash.h"
#include "base/ids.h"
#include "base/status.h"
#include "runtime/paging.h"
#include "services/ingest/adapters/pg_list.h"
#include "storage/copy.h"
#include "storage/transaction.h"

namespace vedette::ingest {
namespace {

using storage::Row;
using storage::Tx;
using Type = runtime::FilterField::Type;

constexpr char kEventColumns[] = "id, kind, title, entity_id, event_time, details";

const platform::ListSpec& EventList() {
  static const platform::ListSpec spec{
      .columns = kEventColumns,
      .from = "change_events",
      .keys = {{"event_time", "timestamptz"}, {"id", "uuid"}},
      .descending = true,
      .filter = {
          .fields = {{.name = "kind", .sql = "kind"},
                     {.name = "entity", .sql = "case when entity_id = '' then '' else 'entities/' || entity_id end"},
                     {.name = "event_time", .sql = "event_time", .type = Type::kTimestamp},
                     {.name = "title", .sql = "title"}},
          .search_sql = {"title"}}};
  return spec;
}

ChangeEvent EventOf(const Row& row) {
  return {.id = std::string(row.Text("id")),
          .kind = std::string(row.Text("kind")),
          .title = std::string(row.Text("title")),
          .entity = std::string(row.Text("entity_id")),
          .event_time = row.Time("event_time"),
          .details_json = std::string(row.Text("details"))};
}

// FAILED_PRECONDITION naming one of the ids that `known` lacks.
absl::Status CheckKnown(Tx& tx, std::string_view collection, std::string_view known,
                        const std::vector<std::string>& ids) {
  const std::string sql = fmt::format(
      "select x.id from unnest($1::text[]) x(id) where not exists (select from ({}) k where k.id = x.id) limit 1",
      known);
  ASSIGN_OR_RETURN(const storage::Result missing, tx.Exec(sql, {ids}));
  if (missing.empty()) return absl::OkStatus();
  return FailedPrecondition("{}/{} does not exist; create it first", collection, missing[0].Text(0));
}

}  // namespace

absl::Status PgObservationStore::EnsurePartitions(std::span<const absl::CivilMonth> months) {
  // Asked first, because almost always nothing is missing. Each in a transaction of its own: its locks are short.
  std::vector<std::string> days;
  for (const absl::CivilMonth month : months) days.push_back(absl::FormatCivilTime(absl::CivilDay(month)));
  std::vector<std::string> missing;
  RETURN_IF_ERROR(storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
    missing.clear();
    ASSIGN_OR_RETURN(const storage::Result r,
                     tx.Exec("select day from unnest($1::text[]) day "
                             "where to_regclass('observations_' || to_char(day::date, 'YYYY_MM')) is null",
                             {days}));
    for (const Row row : r) missing.emplace_back(row.Text(0));
    return absl::OkStatus();
  }));
  for (const std::string& day : missing) {
    RETURN_IF_ERROR(storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
      return tx.Exec("select ensure_observation_partition($1::date)", {day}).status();
    }));
  }
  return absl::OkStatus();
}

absl::StatusOr<WriteResult> PgObservationStore::Write(const std::string& tenant, const ObservationBatch& batch) {
  WriteResult result;
  const size_t n = batch.values.size();
  const auto write = [&](Tx& tx) -> absl::Status {
    RETURN_IF_ERROR(CheckKnown(tx, "entities", "select id from entities", batch.entities));
    RETURN_IF_ERROR(
        CheckKnown(tx, "metrics", "select id from standard_metrics union all select id from metrics", batch.metrics));
    ASSIGN_OR_RETURN(
        auto bulk, storage::BulkInsert::Begin(tx, {.table = "observations",
                                                   .columns = {"tenant_id", "entity_id", "metric_id", "time", "value"},
                                                   .on_conflict = "on conflict do nothing"}));
    for (size_t i = 0; i < n; ++i) {
      bulk.Text(tenant);
      bulk.Text(batch.entities[static_cast<size_t>(batch.entity_index[i])]);
      bulk.Text(batch.metrics[static_cast<size_t>(batch.metric_index[i])]);
      bulk.Time(absl::FromUnixMicros(batch.time_micros[i]));
      bulk.Double(batch.values[i]);
      RETURN_IF_ERROR(bulk.EndRow());
    }
    ASSIGN_OR_RETURN(result.written, bulk.Finish());
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, write));
  result.duplicates = static_cast<int64_t>(n) - result.written;
  return result;
}

absl::StatusOr<Page<Observation>> PgObservationStore::List(const std::string& tenant, const SeriesQuery& query) {
  const std::string fingerprint = Sha256Hex(fmt::format("{}\n{}\n{}\n{}", query.entity, query.metric,
                                                        absl::FormatTime(query.start), absl::FormatTime(query.end)))
                                      .substr(0, 16);
  ASSIGN_OR_RETURN(const std::vector<std::string> cursor, runtime::DecodePageToken(query.page_token, fingerprint, 1));
  Page<Observation> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    page = {};
    ASSIGN_OR_RETURN(
        const storage::Result r,
        tx.Exec("select time, value, time::text as cursor from observations where tenant_id = $1 and entity_id = $2 "
                "and metric_id = $3 and time >= $4 and time < $5 and time > $6::timestamptz order by time limit $7",
                {tenant, query.entity, query.metric, query.start, query.end,
                 cursor.empty() ? "-infinity" : cursor.front(), int64_t{query.page_size} + 1}));
    for (const Row row : r) {
      if (static_cast<int>(page.items.size()) == query.page_size) {
        const std::string last(r[query.page_size - 1].Text("cursor"));
        page.next_page_token = runtime::EncodePageToken(std::span(&last, 1), fingerprint);
        break;
      }
      page.items.push_back({.time_micros = absl::ToUnixMicros(row.Time("time")), .value = row.Double("value")});
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return page;
}

absl::StatusOr<ChangeEvent> PgObservationStore::CreateChangeEvent(const std::string& tenant, const ChangeEvent& event,
                                                                  const std::string& request_id) {
  ChangeEvent out;
  const std::string id = NewUuidV7(absl::Now());
  const std::optional<std::string> request = request_id.empty() ? std::nullopt : std::optional(request_id);
  const auto create = [&](Tx& tx) -> absl::Status {
    if (!event.entity.empty()) RETURN_IF_ERROR(CheckKnown(tx, "entities", "select id from entities", {event.entity}));
    ASSIGN_OR_RETURN(
        storage::Result r,
        tx.Exec(
            fmt::format(
                "insert into change_events (tenant_id, id, request_id, kind, title, entity_id, event_time, details) "
                "values ($1, $2, $3, $4, $5, $6, $7, $8) "
                "on conflict (tenant_id, request_id) where request_id is not null do nothing returning {}",
                kEventColumns),
            {tenant, id, request, event.kind, event.title, event.entity, event.event_time, event.details_json}));
    if (r.empty()) {
      ASSIGN_OR_RETURN(r, tx.Exec(fmt::format("select {} from change_events where tenant_id = $1 and request_id = $2",
                                              kEventColumns),
                                  {tenant, request}));
    }
    if (r.empty()) return absl::AbortedError("the change event of this request cannot be seen yet; send it again");
    out = EventOf(r[0]);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, create));
  return out;
}

absl::StatusOr<Page<ChangeEvent>> PgObservationStore::ListChangeEvents(const std::string& tenant,
                                                                       const ListQuery& query) {
  Page<ChangeEvent> page;
  const auto list = [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(page, ListPage<ChangeEvent>(tx, EventList(), query, EventOf));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, storage::kReadOnly));
  return page;
}

}  // namespace vedette::ingest
