-- What was found, what people said of it, and what is learned from that.
create table anomalies (
  tenant_id text not null,
  anomaly_id uuid not null,                -- derived from tenant, job and row: a second report is the same anomaly
  job text not null,
  dataset text not null,
  row_index bigint not null,
  entity text not null default '',
  metric text not null default '',
  anomaly_score float8 not null,
  probability float8 not null check (probability between 0 and 1),
  confidence float8 not null check (confidence between 0 and 1),
  severity smallint not null check (severity between 1 and 4),
  threshold float8 not null,
  actual_value float8,
  expected_value float8,
  z_score float8,
  features jsonb not null default '[]',
  summary text not null default '',
  detection_methods text[] not null,
  model text not null,
  raw_data jsonb not null default '{}',
  metadata jsonb not null default '{}',
  status text not null default 'OPEN' check (status in ('OPEN', 'ACKNOWLEDGED', 'RESOLVED', 'DISMISSED')),
  detect_time timestamptz not null,
  create_time timestamptz not null default now(),
  update_time timestamptz not null default now(),
  primary key (tenant_id, anomaly_id)
);
create index anomalies_by_time on anomalies (tenant_id, create_time desc, anomaly_score desc, anomaly_id);
create index anomalies_by_job on anomalies (tenant_id, job, row_index);
create index anomalies_open on anomalies (tenant_id, severity desc, create_time desc) where status = 'OPEN';
create index anomalies_metadata on anomalies using gin (metadata jsonb_path_ops);
select vedette.protect('anomalies');

-- Which parts of a task's result have arrived; the task is stored when all have.
create table task_results (
  tenant_id text not null,
  task text not null,
  part_count int not null check (part_count > 0),
  parts int[] not null,
  rows_scored bigint not null,
  anomaly_count bigint not null,
  update_time timestamptz not null default now(),
  primary key (tenant_id, task)
);
select vedette.protect('task_results');

create table anomaly_feedback (
  tenant_id text not null,
  anomaly_id uuid not null,
  feedback_id uuid not null,
  verdict text not null check (verdict in ('CONFIRMED', 'FALSE_ALARM', 'EXPECTED', 'NEW_TREND')),
  feedback_confidence float8 not null check (feedback_confidence between 0 and 1),
  comment text not null default '',
  business_context jsonb not null default '{}',
  author text not null,
  learned_applied boolean not null default false,
  similar_anomalies_suppressed bigint not null default 0,
  request_id text,
  create_time timestamptz not null default now(),
  primary key (tenant_id, anomaly_id, feedback_id),
  foreign key (tenant_id, anomaly_id) references anomalies on delete cascade
);
create unique index anomaly_feedback_request on anomaly_feedback (tenant_id, request_id) where request_id is not null;
select vedette.protect('anomaly_feedback');

create table anomaly_learning_patterns (
  tenant_id text not null,
  pattern_id uuid not null,
  scope jsonb not null,                    -- what it applies to: dataset, metric, features
  pattern jsonb not null,
  confidence float8 not null check (confidence between 0 and 1),
  support bigint not null default 0,       -- feedback entries behind it
  active boolean not null default false,
  create_time timestamptz not null default now(),
  primary key (tenant_id, pattern_id)
);
select vedette.protect('anomaly_learning_patterns');

create table suppression_rules (
  tenant_id text not null,
  rule_id uuid not null,
  filter text not null,                    -- AIP-160, as ListAnomalies
  reason text not null default '',
  learned_from uuid,                       -- a pattern, or null: written by a person
  active boolean not null default true,
  hit_count bigint not null default 0,
  expire_time timestamptz,
  create_time timestamptz not null default now(),
  primary key (tenant_id, rule_id)
);
select vedette.protect('suppression_rules');

create table adaptive_thresholds (
  tenant_id text not null,
  scope text not null,                     -- dataset, or entity and metric
  threshold float8 not null,
  evidence jsonb not null default '{}',
  update_time timestamptz not null default now(),
  primary key (tenant_id, scope)
);
select vedette.protect('adaptive_thresholds');

create table outcomes (
  tenant_id text not null,
  anomaly_id uuid not null,
  outcome_id uuid not null,
  action text not null,
  value float8,
  details jsonb not null default '{}',
  create_time timestamptz not null default now(),
  primary key (tenant_id, anomaly_id, outcome_id),
  foreign key (tenant_id, anomaly_id) references anomalies on delete cascade
);
select vedette.protect('outcomes');

select vedette.create_outbox();

-- @down
drop table outcomes;
drop table adaptive_thresholds;
drop table suppression_rules;
drop table anomaly_learning_patterns;
drop table anomaly_feedback;
drop table task_results;
drop table anomalies;
select vedette.drop_outbox();
