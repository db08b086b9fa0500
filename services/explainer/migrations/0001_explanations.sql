-- Why: one row for each anomaly, method and model.
create table anomaly_explanations (
  tenant_id text not null,
  anomaly_id uuid not null,
  explanation_id uuid not null,            -- derived from anomaly, method and model
  method text not null,
  space text not null default '',
  contributions jsonb not null,
  no_single_driver boolean not null default false,
  explanation_text text not null default '',
  text_source text not null default 'template' check (text_source in ('template', 'llm', 'cache')),
  degraded_reason text not null default '',
  model text not null,
  create_time timestamptz not null default now(),
  primary key (tenant_id, anomaly_id, explanation_id)
);
select vedette.protect('anomaly_explanations');

-- @down
drop table anomaly_explanations;
