-- Uploaded statements with their fields, and where data is pulled from.

create table documents (
  tenant_id text not null,
  id uuid not null,
  display_name text not null,
  -- balance_sheet, income_statement...
  document_type text not null,
  entity_id text,
  period_start date,
  period_end date,
  extraction_status text not null default 'PENDING'
    check (extraction_status in ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED')),
  error text not null default '',
  object_key text not null,
  content_type text not null,
  size_bytes bigint not null check (size_bytes >= 0),
  sha256 text not null,
  metadata jsonb not null default '{}',
  create_time timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, entity_id) references entities,
  check (period_end is null or period_start is null or period_end >= period_start)
);
create index documents_by_entity on documents (tenant_id, entity_id, document_type, period_start);
create index documents_by_status on documents (tenant_id, extraction_status);
select vedette.protect('documents');

-- Points (1/72 inch) from the upper left corner of the page.
create table pdf_field_coordinates (
  tenant_id text not null,
  document_id uuid not null,
  id bigint not null,
  page int not null check (page >= 1),
  x0 double precision not null,
  y0 double precision not null,
  x1 double precision not null,
  y1 double precision not null,
  field_name text not null,
  field_value text not null,
  confidence double precision not null check (confidence between 0 and 1),
  create_time timestamptz not null default now(),
  primary key (tenant_id, document_id, id),
  foreign key (tenant_id, document_id) references documents on delete cascade,
  check (x1 >= x0 and y1 >= y0)
);
create index pdf_field_coordinates_by_name on pdf_field_coordinates (tenant_id, document_id, field_name);
select vedette.protect('pdf_field_coordinates');

create table connectors (
  tenant_id text not null,
  id text not null,
  -- odbc, rest, object_store...
  kind text not null,
  display_name text not null default '',
  -- Never a secret: those are named by secret_ref and come by file.
  settings jsonb not null default '{}',
  secret_ref text not null default '',
  enabled boolean not null default true,
  last_pull_time timestamptz,
  last_error text not null default '',
  cursor jsonb not null default '{}',
  create_time timestamptz not null default now(),
  primary key (tenant_id, id)
);
select vedette.protect('connectors');

-- @down
drop table connectors;
drop table pdf_field_coordinates;
drop table documents;
