-- Every method's numbers, what findings look like, and what people said of them.
alter table anomaly_explanations
  add column mode text not null default '',
  add column config jsonb not null default '{}',      -- what was asked beside the method; part of the explanation's id
  add column row_hash text not null default '',       -- SHA-256 of the row as the model saw it; empty: only the detector has seen it
  add column details jsonb not null default '{}',     -- expected value, background, warnings...
  add column counterfactual jsonb;
create index anomaly_explanations_equal on anomaly_explanations (tenant_id, row_hash, method) where row_hash <> '';

create table findings (
  tenant_id text not null,
  anomaly_id uuid not null,
  model text not null,
  algorithm text not null,
  dataset text not null,
  row_index bigint not null,
  entity text not null default '',
  metric text not null default '',
  anomaly_score float8 not null,
  probability float8 not null,
  confidence float8 not null,
  severity smallint not null check (severity between 0 and 4),
  threshold float8 not null,
  detect_time timestamptz not null,
  event_time timestamptz,                  -- of the row itself, where it has one
  signature jsonb not null default '{}',   -- feature -> signed share
  drivers text[] not null default '{}',    -- its largest features
  create_time timestamptz not null default now(),
  primary key (tenant_id, anomaly_id)
);
create index findings_by_algorithm on findings (tenant_id, algorithm, detect_time desc);
select vedette.protect('findings');

-- The last verdict on a finding, from triage's facts; it may come before the finding does.
create table finding_outcomes (
  tenant_id text not null,
  anomaly_id uuid not null,
  verdict text not null check (verdict in ('CONFIRMED', 'FALSE_ALARM', 'EXPECTED', 'NEW_TREND')),
  verdict_confidence float8 not null check (verdict_confidence between 0 and 1),
  feedback text not null,
  feedback_time timestamptz not null,
  primary key (tenant_id, anomaly_id)
);
create index finding_outcomes_by_time on finding_outcomes (tenant_id, feedback_time desc);
select vedette.protect('finding_outcomes');

-- @down
drop table finding_outcomes;
drop table findings;
drop index anomaly_explanations_equal;
alter table anomaly_explanations
  drop column counterfactual,
  drop column details,
  drop column row_hash,
  drop column config,
  drop column mode;
