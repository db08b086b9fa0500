#include "services/job-orchestrator/adapters/pg_job_store.h"

#include "base/status.h"
#include "services/job-orchestrator/adapters/task_messages.h"
#include "vedette/common/v1/common.pb.h"

namespace vedette::job_orchestrator {
namespace {

using storage::Params;
using storage::Row;
using storage::Tx;

constexpr char kJobColumns[] =
    "job_id, display_name, dataset, dataset_rows, detector, chunk_rows, state, total_tasks, done_tasks, failed_tasks, "
    "rows_scored, anomaly_count, error, algorithm, selection_reason, model, model_cache_hit, revision, create_time, "
    "start_time, end_time";

constexpr char kSelectionColumns[] =
    "selection_id, job_id, dataset, requested_algorithm, algorithm, reason, model, training_rows, select_time, "
    "jsonb_build_object('picks', picks, 'profile', profile, 'review', review, 'review_prompt', review_prompt, "
    "'review_answer', "
    "review_answer) as selection";

Job ReadJob(const Row& r) {
  Job j;
  j.id = r.Text("job_id");
  j.display_name = r.Text("display_name");
  j.dataset = r.Text("dataset");
  j.dataset_rows = r.Int64("dataset_rows");
  j.detector = r.Bytes("detector");
  j.chunk_rows = r.Int64("chunk_rows");
  j.state = ParseJobState(r.Text("state"));
  j.total_tasks = static_cast<int32_t>(r.Int64("total_tasks"));
  j.done_tasks = static_cast<int32_t>(r.Int64("done_tasks"));
  j.failed_tasks = static_cast<int32_t>(r.Int64("failed_tasks"));
  j.rows_scored = r.Int64("rows_scored");
  j.anomaly_count = r.Int64("anomaly_count");
  j.error = r.Text("error");
  j.algorithm = r.Text("algorithm");
  j.selection_reason = r.Text("selection_reason");
  j.model = r.Text("model");
  j.model_cache_hit = r.Bool("model_cache_hit");
  j.revision = r.Int64("revision");
  j.create_time = r.Time("create_time");
  j.start_time = r.OptionalTime("start_time");
  j.end_time = r.OptionalTime("end_time");
  return j;
}

Task ReadTask(const Row& r) {
  Task t;
  t.job_id = r.Text("job_id");
  t.id = static_cast<int32_t>(r.Int64("task_id"));
  t.kind = r.Text("kind");
  t.state = ParseTaskState(r.Text("state"));
  t.first_row = r.Int64("first_row");
  t.row_count = r.Int64("row_count");
  t.anomaly_count = r.Int64("anomaly_count");
  t.attempts = static_cast<int32_t>(r.Int64("attempts"));
  t.error = r.Text("error");
  t.end_time = r.OptionalTime("end_time");
  return t;
}

LoggedSelection ReadSelection(const Row& r) {
  LoggedSelection s;
  s.id = r.Text("selection_id");
  s.job_id = r.IsNull("job_id") ? "" : std::string(r.Text("job_id"));
  s.dataset = r.Text("dataset");
  s.requested_algorithm = r.Text("requested_algorithm");
  s.algorithm = r.Text("algorithm");
  s.reason = r.Text("reason");
  s.model = r.Text("model");
  s.training_rows = r.Int64("training_rows");
  s.select_time = r.Time("select_time");
  s.selection = r.Text("selection");
  return s;
}

/// `job_id` and `dataset` are empty for rows that came with a request.
absl::Status WriteSelection(Tx& tx, const std::string& job_id, const std::string& dataset, const std::string& requested,
                            const LoggedSelection& s) {
  return tx.Exec("insert into model_selection_log (tenant_id, selection_id, job_id, dataset, requested_algorithm, algorithm, reason, "
                 "training_rows, model, picks, profile, review, review_prompt, review_answer) "
                 "select $1, $2::uuid, nullif($3, '')::uuid, $4, $5, $6, $7, $8, $9, coalesce(w -> 'picks', '[]'), "
                 "coalesce(w -> 'profile', '{}'), coalesce(w ->> 'review', ''), coalesce(w ->> 'review_prompt', ''), "
                 "coalesce(w ->> 'review_answer', '') from (select $10::jsonb as w) as weighed on conflict do nothing",
                 {tx.tenant(), s.id, job_id, dataset, requested, s.algorithm, s.reason, s.training_rows, s.model, s.selection}).status();
}

/// Locks the job's row: every change of a job and of its tasks happens one after the other.
absl::StatusOr<Job> Lock(Tx& tx, const std::string& job_id) {
  ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from jobs where tenant_id = $1 and job_id = $2::uuid for update", kJobColumns),
                                            {tx.tenant(), job_id}));
  if (rows.empty()) return NotFound("jobs/{} does not exist", job_id);
  return ReadJob(rows[0]);
}

absl::StatusOr<ScoreInput> Input(Tx& tx, const std::string& job_id) {
  ASSIGN_OR_RETURN(const auto rows, tx.Exec("select model, feature_set from jobs where tenant_id = $1 and job_id = $2::uuid",
                                            {tx.tenant(), job_id}));
  if (rows.empty()) return NotFound("jobs/{} does not exist", job_id);
  return ScoreInput{std::string(rows[0].Text("model")), std::string(rows[0].Text("feature_set"))};
}

/// PENDING tasks of `kind` become QUEUED, and their messages go into the outbox.
absl::Status HandOut(Tx& tx, const Job& job, std::string_view kind) {
  ASSIGN_OR_RETURN(const auto rows,
                   tx.Exec("update tasks set state = 'QUEUED', attempts = attempts + 1, queued_time = now() "
                           "where tenant_id = $1 and job_id = $2::uuid and kind = $3 and state = 'PENDING' "
                           "returning job_id, task_id, kind, state, first_row, row_count, anomaly_count, attempts, error, end_time",
                           {tx.tenant(), job.id, kind}));
  ASSIGN_OR_RETURN(const ScoreInput input, Input(tx, job.id));
  for (const Row row : rows) {
    const Task task = ReadTask(row);
    RETURN_IF_ERROR(kind == "fit" ? AddFitMessage(tx, job, task.attempts)
                                  : AddScoreMessage(tx, job, task, input, task.attempts));
  }
  return absl::OkStatus();
}

/// The task is done or failed for good. False when it was not QUEUED: a repeated or a late report.
absl::StatusOr<bool> EndTask(Tx& tx, const std::string& job_id, int32_t task, TaskState state, int64_t anomalies,
                             const std::string& error) {
  ASSIGN_OR_RETURN(const auto result,
                   tx.Exec("update tasks set state = $4, anomaly_count = $5, error = $6, end_time = now() "
                           "where tenant_id = $1 and job_id = $2::uuid and task_id = $3 and state = 'QUEUED'",
                           {tx.tenant(), job_id, task, Name(state), anomalies, error}));
  return result.affected() == 1;
}

/// Adds to the counters, and closes the job when nothing is left to do.
absl::Status Count(Tx& tx, const std::string& job_id, int done, int failed, int64_t rows, int64_t anomalies,
                   const std::string& error) {
  ASSIGN_OR_RETURN(const auto result,
                   tx.Exec(fmt::format("update jobs set done_tasks = done_tasks + $3, failed_tasks = failed_tasks + $4, "
                                       "rows_scored = rows_scored + $5, anomaly_count = anomaly_count + $6, "
                                       "error = case when error = '' then $7 else error end, revision = revision + 1, "
                                       "state = case when done_tasks + $3 + failed_tasks + $4 < total_tasks then state "
                                       "when failed_tasks + $4 > 0 then 'FAILED' else 'SUCCEEDED' end, "
                                       "end_time = case when done_tasks + $3 + failed_tasks + $4 < total_tasks then null else now() end "
                                       "where tenant_id = $1 and job_id = $2::uuid returning {}", kJobColumns),
                           {tx.tenant(), job_id, done, failed, rows, anomalies, error}));
  if (result.empty()) return NotFound("jobs/{} does not exist", job_id);
  const Job job = ReadJob(result[0]);
  return IsFinal(job.state) ? AddJobFinished(tx, job) : absl::OkStatus();
}

}  // namespace

absl::Status PgJobStore::Write(const std::string& tenant, const storage::TxFunction& fn) {
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, fn));
  changed_();
  return absl::OkStatus();
}

absl::StatusOr<Job> PgJobStore::Create(const std::string& tenant, const NewJob& job) {
  Job created;
  const absl::Status done = Write(tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const auto inserted,
        tx.Exec(fmt::format("insert into jobs (tenant_id, job_id, display_name, dataset, dataset_rows, detector, chunk_rows, state, total_tasks, "
                            "request_id, start_time) values ($1, $2::uuid, $3, $4, $5, $6, $7, 'RUNNING', $8, $9, now()) "
                            "on conflict (tenant_id, request_id) where request_id is not null do nothing returning {}", kJobColumns),
                {tx.tenant(), job.job.id, job.job.display_name, job.job.dataset, job.job.dataset_rows,
                 storage::Bytes{job.job.detector}, job.job.chunk_rows, job.ranges.size() + 1,
                 job.request_id.empty() ? storage::Param(nullptr) : storage::Param(job.request_id)}));
    if (inserted.empty()) {
      ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from jobs where tenant_id = $1 and request_id = $2", kJobColumns),
                                                {tx.tenant(), job.request_id}));
      if (rows.empty()) return absl::AbortedError("the job of this request_id was just removed");
      created = ReadJob(rows[0]);
      return absl::OkStatus();
    }
    created = ReadJob(inserted[0]);
    RETURN_IF_ERROR(tx.Exec("insert into tasks (tenant_id, job_id, task_id, kind, state) values ($1, $2::uuid, 0, 'fit', 'PENDING')",
                            {tx.tenant(), created.id}).status());
    std::vector<int64_t> first, count;
    for (const RowRange& r : job.ranges) {
      first.push_back(r.first_row);
      count.push_back(r.row_count);
    }
    RETURN_IF_ERROR(tx.Exec("insert into tasks (tenant_id, job_id, task_id, kind, state, first_row, row_count) "
                            "select $1, $2::uuid, n, 'score', 'PENDING', f, c "
                            "from unnest($3::bigint[], $4::bigint[]) with ordinality as t(f, c, n)",
                            {tx.tenant(), created.id, first, count}).status());
    return HandOut(tx, created, "fit");
  });
  RETURN_IF_ERROR(done);
  return created;
}

absl::StatusOr<Job> PgJobStore::Get(const std::string& tenant, const std::string& job_id) {
  Job job;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(fmt::format("select {} from jobs where tenant_id = $1 and job_id = $2::uuid", kJobColumns),
                                              {tx.tenant(), job_id}));
    if (rows.empty()) return NotFound("jobs/{} does not exist", job_id);
    job = ReadJob(rows[0]);
    return absl::OkStatus();
  }));
  return job;
}

absl::StatusOr<std::vector<Job>> PgJobStore::List(const std::string& tenant, const Listing& listing) {
  std::vector<Job> jobs;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    Params params(listing.params.begin(), listing.params.end());
    std::string sql = fmt::format("select {} from jobs where ({})", kJobColumns, listing.where);
    if (!listing.cursor.empty()) {
      sql += fmt::format(" and (create_time, job_id) < (${}::timestamptz, ${}::uuid)", params.size() + 1, params.size() + 2);
      params.insert(params.end(), listing.cursor.begin(), listing.cursor.end());
    }
    sql += fmt::format(" and tenant_id = ${} order by create_time desc, job_id desc limit {}", params.size() + 1, listing.limit);
    params.emplace_back(tx.tenant());
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(sql, params));
    jobs.clear();
    for (const Row row : rows) jobs.push_back(ReadJob(row));
    return absl::OkStatus();
  }));
  return jobs;
}

absl::StatusOr<std::vector<LoggedSelection>> PgJobStore::ListSelections(const std::string& tenant,
                                                                        const Listing& listing) {
  std::vector<LoggedSelection> all;
  const auto list = [&](Tx& tx) -> absl::Status {
    Params params(listing.params.begin(), listing.params.end());
    std::string sql = fmt::format("select {} from model_selection_log where ({})", kSelectionColumns, listing.where);
    if (!listing.cursor.empty()) {
      sql += fmt::format(" and (select_time, selection_id) < (${}::timestamptz, ${}::uuid)", params.size() + 1,
                         params.size() + 2);
      params.insert(params.end(), listing.cursor.begin(), listing.cursor.end());
    }
    sql += fmt::format(" and tenant_id = ${} order by select_time desc, selection_id desc limit {}", params.size() + 1,
                       listing.limit);
    params.emplace_back(tx.tenant());
    ASSIGN_OR_RETURN(const auto rows, tx.Exec(sql, params));
    all.clear();
    for (const Row row : rows) all.push_back(ReadSelection(row));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, list, {.read_only = true}));
  return all;
}

absl::StatusOr<std::vector<Task>> PgJobStore::ListTasks(const std::string& tenant, const std::string& job_id,
                                                        const Listing& listing) {
  std::vector<Task> tasks;
  RETURN_IF_ERROR(storage::InTenant(*pool_, tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("select job_id, task_id, kind, state, first_row, row_count, anomaly_count, attempts, error, end_time "
                                         "from tasks where tenant_id = $1 and job_id = $2::uuid and task_id > $3 order by task_id limit {}", listing.limit),
                             {tx.tenant(), job_id, listing.cursor.empty() ? std::string("-1") : listing.cursor[0]}));
    tasks.clear();
    for (const Row row : rows) tasks.push_back(ReadTask(row));
    return absl::OkStatus();
  }));
  return tasks;
}

absl::Status PgJobStore::LogSelection(const std::string& tenant, const LoggedSelection& selection) {
  return storage::InTenant(*pool_, tenant, [&](Tx& tx) { return WriteSelection(tx, "", "", "auto", selection); });
}

absl::Status PgJobStore::FitFinished(const std::string& tenant, const std::string& job_id, const FitResult& result) {
  return Write(tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Job job, Lock(tx, job_id));
    ASSIGN_OR_RETURN(const bool first, EndTask(tx, job_id, 0, TaskState::kSucceeded, 0, ""));
    if (!first) return absl::OkStatus();
    RETURN_IF_ERROR(tx.Exec("update jobs set model = $3, feature_set = $4, algorithm = $5, selection_reason = $6, model_cache_hit = $7 "
                            "where tenant_id = $1 and job_id = $2::uuid",
                            {tx.tenant(), job_id, result.model, result.feature_set, result.algorithm, result.selection_reason,
                             result.cache_hit}).status());
    common::v1::DetectorSpec spec;
    spec.ParseFromString(job.detector);
    RETURN_IF_ERROR(WriteSelection(tx, job_id, job.dataset, spec.algorithm().empty() ? "auto" : spec.algorithm(),
                                   {.id = job_id, .model = result.model, .algorithm = result.algorithm, .reason = result.selection_reason,
                                    .training_rows = result.training_rows, .selection = result.selection}));
    RETURN_IF_ERROR(Count(tx, job_id, 1, 0, 0, 0, ""));
    return HandOut(tx, job, "score");
  });
}

absl::Status PgJobStore::ScoreFinished(const std::string& tenant, const std::string& job_id, int32_t task,
                                       int64_t rows_scored, int64_t anomaly_count) {
  return Write(tenant, [&](Tx& tx) -> absl::Status {
    RETURN_IF_ERROR(Lock(tx, job_id).status());
    ASSIGN_OR_RETURN(const bool first, EndTask(tx, job_id, task, TaskState::kSucceeded, anomaly_count, ""));
    return first ? Count(tx, job_id, 1, 0, rows_scored, anomaly_count, "") : absl::OkStatus();
  });
}

absl::Status PgJobStore::TaskFailed(const std::string& tenant, const std::string& job_id, int32_t task,
                                    const std::string& error) {
  return Write(tenant, [&](Tx& tx) -> absl::Status {
    RETURN_IF_ERROR(Lock(tx, job_id).status());
    ASSIGN_OR_RETURN(const bool first, EndTask(tx, job_id, task, TaskState::kFailed, 0, error));
    if (!first) return absl::OkStatus();
    if (task != 0) return Count(tx, job_id, 0, 1, 0, 0, error);
    // Without a model there is nothing to score: the other tasks are dropped and the job ends here.
    RETURN_IF_ERROR(tx.Exec("update tasks set state = 'DROPPED', end_time = now() where tenant_id = $1 and job_id = $2::uuid and state = 'PENDING'",
                            {tx.tenant(), job_id}).status());
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("update jobs set state = 'FAILED', failed_tasks = 1, error = $3, end_time = now(), revision = revision + 1 "
                                         "where tenant_id = $1 and job_id = $2::uuid returning {}", kJobColumns),
                             {tx.tenant(), job_id, error}));
    return AddJobFinished(tx, ReadJob(rows[0]));
  });
}

absl::StatusOr<Job> PgJobStore::Cancel(const std::string& tenant, const std::string& job_id) {
  Job job;
  const absl::Status done = Write(tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(job, Lock(tx, job_id));
    if (job.state == JobState::kCancelled) return absl::OkStatus();
    if (IsFinal(job.state)) return FailedPrecondition("jobs/{} has ended already: it is {}", job_id, Name(job.state));
    RETURN_IF_ERROR(tx.Exec("update tasks set state = 'DROPPED', end_time = now() "
                            "where tenant_id = $1 and job_id = $2::uuid and state in ('PENDING', 'QUEUED')",
                            {tx.tenant(), job_id}).status());
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("update jobs set state = 'CANCELLED', end_time = now(), revision = revision + 1 "
                                         "where tenant_id = $1 and job_id = $2::uuid returning {}", kJobColumns),
                             {tx.tenant(), job_id}));
    job = ReadJob(rows[0]);
    return AddJobFinished(tx, job);
  });
  RETURN_IF_ERROR(done);
  return job;
}

absl::StatusOr<Job> PgJobStore::Resume(const std::string& tenant, const std::string& job_id) {
  Job job;
  const absl::Status done = Write(tenant, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(job, Lock(tx, job_id));
    if (job.state != JobState::kFailed && job.state != JobState::kCancelled) {
      return FailedPrecondition("jobs/{} is {}; only a FAILED or CANCELLED job can be resumed", job_id, Name(job.state));
    }
    RETURN_IF_ERROR(tx.Exec("update tasks set state = 'PENDING', error = '', end_time = null "
                            "where tenant_id = $1 and job_id = $2::uuid and state in ('FAILED', 'DROPPED')",
                            {tx.tenant(), job_id}).status());
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec(fmt::format("update jobs set state = 'RUNNING', failed_tasks = 0, error = '', end_time = null, "
                                         "revision = revision + 1 where tenant_id = $1 and job_id = $2::uuid returning {}", kJobColumns),
                             {tx.tenant(), job_id}));
    job = ReadJob(rows[0]);
    return HandOut(tx, job, job.model.empty() ? "fit" : "score");
  });
  RETURN_IF_ERROR(done);
  return job;
}

absl::StatusOr<int> PgJobStore::RequeueStale(absl::Duration timeout, int max_attempts) {
  struct Stale {
    std::string tenant;
    std::string job;
    int32_t task;
    int32_t attempts;
  };
  std::vector<Stale> stale;
  RETURN_IF_ERROR(storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const auto rows,
                     tx.Exec("select tenant_id, job_id, task_id, attempts from tasks where state = 'QUEUED' "
                             "and queued_time < now() - make_interval(secs => $1) order by queued_time limit 1000",
                             {absl::ToDoubleSeconds(timeout)}));
    stale.clear();
    for (const Row r : rows) {
      stale.push_back({std::string(r.Text("tenant_id")), std::string(r.Text("job_id")),
                       static_cast<int32_t>(r.Int64("task_id")), static_cast<int32_t>(r.Int64("attempts"))});
    }
    return absl::OkStatus();
  }));
  for (const Stale& s : stale) {
    if (s.attempts >= max_attempts) {
      RETURN_IF_ERROR(TaskFailed(s.tenant, s.job, s.task,
                                 fmt::format("no worker answered in {} attempts of {}", s.attempts, absl::FormatDuration(timeout))));
      continue;
    }
    RETURN_IF_ERROR(Write(s.tenant, [&](Tx& tx) -> absl::Status {
      ASSIGN_OR_RETURN(const Job job, Lock(tx, s.job));
      ASSIGN_OR_RETURN(const auto result,
                       tx.Exec("update tasks set state = 'PENDING' where tenant_id = $1 and job_id = $2::uuid and task_id = $3 "
                               "and state = 'QUEUED' and attempts = $4",
                               {tx.tenant(), s.job, s.task, s.attempts}));
      return result.affected() == 1 ? HandOut(tx, job, s.task == 0 ? "fit" : "score") : absl::OkStatus();
    }));
  }
  return static_cast<int>(stale.size());
}

absl::Status PgJobStore::RemoveOld(absl::Duration age) {
  return storage::AsService(*pool_, [&](Tx& tx) -> absl::Status {
    RETURN_IF_ERROR(tx.Exec("delete from model_selection_log where job_id is null and select_time < now() - make_interval(secs => $1)",
                            {absl::ToDoubleSeconds(age)}).status());
    return tx.Exec("delete from jobs where state not in ('PENDING', 'RUNNING') and end_time < now() - make_interval(secs => $1)",
                   {absl::ToDoubleSeconds(age)}).status();
  });
}

}  // namespace vedette::job_orchestrator
