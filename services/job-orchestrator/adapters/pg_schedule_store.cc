#include "base/status.h"
#include "services/job-orchestrator/adapters/pg_job_store.h"

namespace vedette::job_orchestrator {
namespace {

using storage::Row;
using storage::Tx;

constexpr char kColumns[] = "schedule_id, cron, dataset, detector, paused, next_run_time, last_run_time";

Schedule Read(const Row& r) {
  Schedule s;
  s.id = r.Text("schedule_id");
  s.cron = r.Text("cron");
  s.dataset = r.Text("dataset");
  s.detector = r.Bytes("detector");
  s.paused = r.Bool("paused");
  s.next_run_time = r.Time("next_run_time");
  s.last_run_time = r.OptionalTime("last_run_time");
  return s;
}

}  // namespace

absl::StatusOr<Schedule> PgScheduleStore::Create(const std::string& tenant, const Schedule& schedule) {
  Schedule created;
  const absl::Status status = storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("insert into schedules (tenant_id, schedule_id, cron, dataset, detector, paused, next_run_time) "
                                         "values ($1, $2, $3, $4, $5, $6, $7::timestamptz) returning {}", kColumns),
                             {tx.tenant(), schedule.id, schedule.cron, schedule.dataset, storage::Bytes{schedule.detector},
                              schedule.paused, schedule.next_run_time}));
    created = Read(rows[0]);
    return absl::OkStatus();
  });
  if (absl::IsAlreadyExists(status)) return absl::AlreadyExistsError(fmt::format("schedules/{} exists already", schedule.id));
  RETURN_IF_ERROR(status);
  return created;
}

absl::StatusOr<std::vector<Schedule>> PgScheduleStore::List(const std::string& tenant, const Listing& listing) {
  std::vector<Schedule> schedules;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("select {} from schedules where tenant_id = $1 and schedule_id > $2 order by schedule_id limit {}",
                                         kColumns, listing.limit),
                             {tx.tenant(), listing.cursor.empty() ? std::string() : listing.cursor[0]}));
    schedules.clear();
    for (const Row row : rows) schedules.push_back(Read(row));
    return absl::OkStatus();
  }));
  return schedules;
}

absl::Status PgScheduleStore::Delete(const std::string& tenant, const std::string& id) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto result, tx.Exec("delete from schedules where tenant_id = $1 and schedule_id = $2", {tx.tenant(), id}));
    return result.affected() == 1 ? absl::OkStatus() : NotFound("schedules/{} does not exist", id);
  });
}

absl::StatusOr<std::vector<std::pair<std::string, Schedule>>> PgScheduleStore::Due(absl::Time now, int limit) {
  std::vector<std::pair<std::string, Schedule>> due;
  RETURN_IF_ERROR(storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("select tenant_id, {} from schedules where not paused and next_run_time <= $1::timestamptz "
                                         "order by next_run_time limit {}", kColumns, limit),
                             {now}));
    due.clear();
    for (const Row row : rows) due.emplace_back(std::string(row.Text("tenant_id")), Read(row));
    return absl::OkStatus();
  }));
  return due;
}

absl::Status PgScheduleStore::Advance(const std::string& tenant, const std::string& id, absl::Time ran, absl::Time next) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    return tx.Exec("update schedules set last_run_time = $3::timestamptz, next_run_time = $4::timestamptz "
                   "where tenant_id = $1 and schedule_id = $2 and next_run_time = $3::timestamptz",
                   {tx.tenant(), id, ran, next}).status();
  });
}

}  // namespace vedette::job_orchestrator
