-- Fitted models by key, the leases to train them, and how often the cache helped.
create table models (
  tenant_id text not null,
  model_id uuid not null,
  key_hash text not null,                  -- SHA-256 of the key's canonical JSON
  model_key jsonb not null,
  subject text not null default '',
  algorithm text not null,
  state text not null default 'ACTIVE' check (state in ('ACTIVE', 'INVALIDATED', 'EXPIRED')),
  version int not null,
  size_bytes bigint not null,
  sha256 text not null,
  training_rows bigint not null default 0,
  training_seconds float8 not null default 0,
  hit_count bigint not null default 0,
  invalidation_reason text not null default '',
  create_time timestamptz not null default now(),
  expire_time timestamptz not null,
  last_hit_time timestamptz,
  primary key (tenant_id, model_id)
);
create unique index models_by_key on models (tenant_id, key_hash, version);
create unique index models_active on models (tenant_id, key_hash) where state = 'ACTIVE';
create index models_by_time on models (tenant_id, create_time desc, model_id desc);
create index models_expiring on models (expire_time) where state = 'ACTIVE';
select vedette.protect('models');

create table leases (
  tenant_id text not null,
  key_hash text not null,
  lease_id uuid not null,
  model_key jsonb not null,
  expire_time timestamptz not null,
  primary key (tenant_id, key_hash)
);
create index leases_by_id on leases (tenant_id, lease_id);
select vedette.protect('leases');

create table cache_days (
  tenant_id text not null,
  day date not null,
  hits bigint not null default 0,
  misses bigint not null default 0,
  primary key (tenant_id, day)
);
select vedette.protect('cache_days');

-- @down
drop table cache_days;
drop table leases;
drop table models;
