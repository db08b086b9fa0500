-- Uploaded tables: the rows themselves are in the object store, in chunks.

create table datasets (
  tenant_id text not null,
  id uuid not null,
  -- The upload that may write this dataset; a repetition of the request gets another one.
  attempt_id uuid not null,
  request_id uuid,
  display_name text not null,
  state text not null check (state in ('UPLOADING', 'READY', 'FAILED')),
  row_count bigint not null default 0,
  columns jsonb not null default '[]',
  size_bytes bigint not null default 0,
  bad_cell_count bigint not null default 0,
  bad_cells jsonb not null default '[]',
  notes text[] not null default '{}',
  error text not null default '',
  sha256 text not null default '',
  create_time timestamptz not null default now(),
  -- The last sign of life of the upload.
  touch_time timestamptz not null default now(),
  primary key (tenant_id, id)
);
create unique index datasets_by_request on datasets (tenant_id, request_id) where request_id is not null;
create index datasets_unfinished on datasets (tenant_id, touch_time) where state = 'UPLOADING';
select vedette.protect('datasets');

create table dataset_chunks (
  tenant_id text not null,
  dataset_id uuid not null,
  first_row bigint not null check (first_row >= 0),
  row_count bigint not null check (row_count > 0),
  chunk_index bigint not null,
  object_key text not null,
  primary key (tenant_id, dataset_id, first_row),
  foreign key (tenant_id, dataset_id) references datasets on delete cascade
);
select vedette.protect('dataset_chunks');

-- Prefixes of objects that nobody needs any more. Written in the transaction that makes them so.
create table garbage (
  tenant_id text not null,
  prefix text not null,
  create_time timestamptz not null default now(),
  primary key (tenant_id, prefix)
);
create index garbage_by_age on garbage (create_time);
select vedette.protect('garbage');

select vedette.create_outbox();

-- @down
select vedette.drop_outbox();
drop table garbage;
drop table dataset_chunks;
drop table datasets;
