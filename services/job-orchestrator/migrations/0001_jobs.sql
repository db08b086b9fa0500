-- Jobs, their tasks, schedules, and why each model was chosen.
create table jobs (
  tenant_id text not null,
  job_id uuid not null,
  display_name text not null default '',
  dataset text not null,
  dataset_rows bigint not null check (dataset_rows >= 0),
  detector bytea not null,                 -- vedette.common.v1.DetectorSpec
  chunk_rows bigint not null check (chunk_rows > 0),
  state text not null check (state in ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
  total_tasks int not null,
  done_tasks int not null default 0,
  failed_tasks int not null default 0,
  rows_scored bigint not null default 0,
  anomaly_count bigint not null default 0,
  error text not null default '',
  algorithm text not null default '',
  selection_reason text not null default '',
  model text not null default '',
  feature_set text not null default '',
  model_cache_hit boolean not null default false,
  request_id text,
  revision bigint not null default 1,      -- grows with every change; watchers wait for it
  create_time timestamptz not null default now(),
  start_time timestamptz,
  end_time timestamptz,
  primary key (tenant_id, job_id)
);
create unique index jobs_request on jobs (tenant_id, request_id) where request_id is not null;
create index jobs_by_time on jobs (tenant_id, create_time desc, job_id desc);
create index jobs_running on jobs (state) where state in ('PENDING', 'RUNNING');
select vedette.protect('jobs');

create table tasks (
  tenant_id text not null,
  job_id uuid not null,
  task_id int not null,                    -- 0 is the fit task
  kind text not null check (kind in ('fit', 'score')),
  state text not null check (state in ('PENDING', 'QUEUED', 'SUCCEEDED', 'FAILED', 'DROPPED')),
  first_row bigint not null default 0,
  row_count bigint not null default 0,
  anomaly_count bigint not null default 0,
  attempts int not null default 0,
  error text not null default '',
  queued_time timestamptz,
  end_time timestamptz,
  primary key (tenant_id, job_id, task_id),
  foreign key (tenant_id, job_id) references jobs on delete cascade
);
create index tasks_queued on tasks (queued_time) where state = 'QUEUED';
select vedette.protect('tasks');

create table schedules (
  tenant_id text not null,
  schedule_id text not null,
  cron text not null,
  dataset text not null,
  detector bytea not null,
  paused boolean not null default false,
  next_run_time timestamptz not null,
  last_run_time timestamptz,
  create_time timestamptz not null default now(),
  primary key (tenant_id, schedule_id)
);
create index schedules_due on schedules (next_run_time) where not paused;
select vedette.protect('schedules');

create table model_selection_log (
  tenant_id text not null,
  job_id uuid not null,
  dataset text not null,
  requested_algorithm text not null,
  algorithm text not null,
  reason text not null,
  training_rows bigint not null,
  select_time timestamptz not null default now(),
  primary key (tenant_id, job_id),
  foreign key (tenant_id, job_id) references jobs on delete cascade
);
select vedette.protect('model_selection_log');

select vedette.create_outbox();

-- @down
drop table model_selection_log;
drop table schedules;
drop table tasks;
drop table jobs;
select vedette.drop_outbox();
