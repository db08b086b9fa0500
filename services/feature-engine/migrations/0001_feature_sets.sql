-- Recipes, by the hash of what they are made from, and what is normal.

create table feature_sets (
  tenant_id text not null,
  id text not null check (id ~ '^[0-9a-f]{32}$'),
  dataset_id uuid not null,
  -- The options in canonical form.
  ignore_columns text[] not null,
  imputation text not null,
  encoding text not null,
  scaling text not null,
  features text[] not null,
  notes text[] not null,
  version int not null,
  -- libs/table's own format, self-checking.
  preparation bytea not null,
  create_time timestamptz not null default now(),
  primary key (tenant_id, id)
);
create index feature_sets_by_time on feature_sets (tenant_id, create_time desc, id desc);
create index feature_sets_by_dataset on feature_sets (tenant_id, dataset_id);
select vedette.protect('feature_sets');

create table baselines (
  tenant_id text not null,
  id uuid not null,
  request_id uuid,
  -- datasets/{id} or entities/{id}
  scope text not null,
  -- A column's name or metrics/{id}
  metric text not null,
  count bigint not null,
  mean double precision not null,
  standard_deviation double precision not null,
  median double precision not null,
  median_absolute_deviation double precision not null,
  minimum double precision not null,
  maximum double precision not null,
  percentile_5 double precision not null,
  percentile_95 double precision not null,
  valid_from timestamptz not null default '-infinity',
  valid_to timestamptz not null default 'infinity',
  create_time timestamptz not null default now(),
  primary key (tenant_id, id),
  check (valid_to > valid_from)
);
create unique index baselines_by_request on baselines (tenant_id, request_id) where request_id is not null;
create index baselines_by_scope on baselines (tenant_id, scope, metric);
select vedette.protect('baselines');

-- @down
drop table baselines;
drop table feature_sets;
