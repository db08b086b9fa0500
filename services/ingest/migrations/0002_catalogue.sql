-- What is measured, and the measurements.

-- The registry of tenants stands above them: it belongs to none.
create table tenants (
  id text primary key check (id ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
  display_name text not null,
  tier text not null,
  create_time timestamptz not null default now()
);
select vedette.share('tenants');

create table entities (
  tenant_id text not null,
  id text not null,
  kind text not null,
  display_name text not null default '',
  external_id text not null default '',
  peer_group text not null default '',
  attributes jsonb not null default '{}',
  create_time timestamptz not null default now(),
  primary key (tenant_id, id)
);
create index entities_by_external_id on entities (tenant_id, external_id) where external_id <> '';
create index entities_by_peer_group on entities (tenant_id, kind, peer_group);
select vedette.protect('entities');

-- direction: which deviation hurts; 0 not said, 1 both, 2 high, 3 low.
create table standard_metrics (
  id text primary key,
  display_name text not null,
  category text not null,
  unit text not null,
  direction smallint not null check (direction between 0 and 3)
);
grant select on standard_metrics to ingest_app, ingest_worker;

create table metrics (
  tenant_id text not null,
  id text not null,
  display_name text not null default '',
  category text not null default '',
  unit text not null default '',
  direction smallint not null default 0 check (direction between 0 and 3),
  create_time timestamptz not null default now(),
  primary key (tenant_id, id)
);
select vedette.protect('metrics');

insert into standard_metrics (id, display_name, category, unit, direction) values
  ('total_revenue', 'Total revenue', 'income_statement', 'currency', 3),
  ('rental_income', 'Rental income', 'income_statement', 'currency', 3),
  ('operating_expenses', 'Operating expenses', 'income_statement', 'currency', 2),
  ('repairs_and_maintenance', 'Repairs and maintenance', 'income_statement', 'currency', 2),
  ('utilities', 'Utilities', 'income_statement', 'currency', 2),
  ('net_operating_income', 'Net operating income', 'income_statement', 'currency', 3),
  ('total_assets', 'Total assets', 'balance_sheet', 'currency', 1),
  ('total_liabilities', 'Total liabilities', 'balance_sheet', 'currency', 1),
  ('cash', 'Cash and equivalents', 'balance_sheet', 'currency', 3),
  ('accounts_receivable', 'Accounts receivable', 'balance_sheet', 'currency', 2),
  ('occupancy_rate', 'Occupancy rate', 'property', 'ratio', 3),
  ('units_sold', 'Units sold', 'retail', 'count', 1),
  ('quantity_on_hand', 'Quantity on hand', 'retail', 'count', 1),
  ('unit_price', 'Unit price', 'retail', 'currency', 1),
  ('stock_turnover', 'Stock turnover', 'retail', 'ratio', 3),
  ('battery_level', 'Battery level', 'device', 'percent', 3),
  ('battery_drain', 'Battery drain an hour', 'device', 'percent', 2),
  ('signal_strength', 'Signal strength', 'device', 'dBm', 3),
  ('storage_free', 'Free storage', 'device', 'bytes', 3),
  ('data_usage', 'Data usage', 'device', 'bytes', 2),
  ('crash_count', 'Crashes', 'device', 'count', 2),
  ('offline_time', 'Time offline', 'device', 'seconds', 2);

-- No foreign keys here: entities and metrics are never deleted, and a batch's few are checked by name, not row by row.
create table observations (
  tenant_id text not null,
  entity_id text not null,
  metric_id text not null,
  time timestamptz not null,
  value double precision not null,
  primary key (tenant_id, entity_id, metric_id, time)
) partition by range (time);
select vedette.protect('observations');

-- The partition of one month, made when it is missing. The application role owns nothing, so the owner does it for it.
-- ATTACH, not PARTITION OF: it does not wait for, nor hold up, readers and writers of the other partitions.
create function ensure_observation_partition(month date) returns void
  language plpgsql security definer set search_path = ingest, pg_temp as $$
declare
  part text := 'observations_' || to_char(month, 'YYYY_MM');
begin
  if month <> date_trunc('month', month) or month < date '1900-01-01' or month > now() + interval '3 years' then
    raise exception 'no partition may start at %', month using errcode = 'check_violation';
  end if;
  if to_regclass(format('ingest.%I', part)) is not null then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtext('ingest.observations'));
  if to_regclass(format('ingest.%I', part)) is not null then
    return;
  end if;
  execute format('create table %I (like observations)', part);
  -- Nobody but the owner has rights on it; these two hold even if somebody were given some.
  execute format('alter table %I enable row level security', part);
  execute format('alter table %I force row level security', part);
  execute format('alter table observations attach partition %I for values from (%L) to (%L)',
                 part, month::timestamp at time zone 'UTC', (month + interval '1 month')::timestamp at time zone 'UTC');
end $$;
revoke all on function ensure_observation_partition(date) from public;
grant execute on function ensure_observation_partition(date) to ingest_app, ingest_worker;

create table change_events (
  tenant_id text not null,
  id uuid not null,
  request_id uuid,
  kind text not null,
  title text not null,
  -- Empty: all.
  entity_id text not null default '',
  event_time timestamptz not null,
  details jsonb not null default '{}',
  create_time timestamptz not null default now(),
  primary key (tenant_id, id)
);
create unique index change_events_by_request on change_events (tenant_id, request_id) where request_id is not null;
create index change_events_by_time on change_events (tenant_id, event_time desc, id desc);
select vedette.protect('change_events');

-- @down
drop table change_events;
drop function ensure_observation_partition(date);
drop table observations;
drop table metrics;
drop table standard_metrics;
drop table entities;
drop table tenants;
