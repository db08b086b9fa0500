-- Peer groups, and how each member stands against the others.
create table peer_groups (
  tenant_id text not null,
  peer_group_id text not null,
  display_name text not null default '',
  members text[] not null,
  min_members int not null check (min_members >= 3),
  create_time timestamptz not null default now(),
  primary key (tenant_id, peer_group_id)
);
select vedette.protect('peer_groups');

create table peer_benchmarks (
  tenant_id text not null,
  peer_group_id text not null,
  metric text not null,
  period_start timestamptz not null,
  period_end timestamptz not null check (period_end > period_start),
  entity text not null,
  value float8 not null,
  peer_median float8 not null,
  peer_spread float8 not null,
  robust_z float8 not null,
  percentile float8 not null check (percentile between 0 and 100),
  peer_count int not null,
  update_time timestamptz not null default now(),
  primary key (tenant_id, peer_group_id, metric, period_start, period_end, entity),
  foreign key (tenant_id, peer_group_id) references peer_groups on delete cascade
);
create index peer_benchmarks_by_entity on peer_benchmarks (tenant_id, entity, metric, period_start desc);
select vedette.protect('peer_benchmarks');

-- @down
drop table peer_benchmarks;
drop table peer_groups;
