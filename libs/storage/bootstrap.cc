#include "storage/bootstrap.h"

#include <algorithm>

#include "base/status.h"

namespace vedette::storage {
namespace {

// What migrations call. Kept in one place, so that a change of the tenant rule is a change of one function.
constexpr char kHelpers[] = R"sql(
create schema if not exists vedette;
revoke all on schema vedette from public;
grant usage on schema vedette to public;

create or replace function vedette.tenant() returns text language sql stable as
$$ select nullif(current_setting('app.tenant', true), '') $$;

-- Row-level security, forced, for a table with a tenant_id (and all its partitions), and the rights of the service on it.
create or replace function vedette.protect(target regclass) returns void language plpgsql as $$
declare
  tenant_type text;
  home name;
  rule text;
  part regclass;
begin
  select format_type(a.atttypid, null) into tenant_type from pg_attribute a
    where a.attrelid = target and a.attname = 'tenant_id' and not a.attisdropped;
  if tenant_type is null then
    raise exception 'vedette.protect: table % has no column tenant_id', target;
  end if;
  select n.nspname into home from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
  -- nullif: after a transaction the setting is '' rather than NULL. The sub-select is evaluated once, not for each row.
  rule := 'tenant_id = (select nullif(current_setting(''app.tenant'', true), '''')'
          || case when tenant_type = 'text' then '' else '::' || tenant_type end || ')';
  for part in select relid from pg_partition_tree(target) union select target loop
    execute format('alter table %s enable row level security', part);
    execute format('alter table %s force row level security', part);
  end loop;
  execute format('drop policy if exists tenant_rows on %s', target);
  execute format('create policy tenant_rows on %s using (%s) with check (%s)', target, rule, rule);
  execute format('drop policy if exists worker_rows on %s', target);
  execute format('create policy worker_rows on %s to %I, %I using (true) with check (true)', target, home || '_worker', current_user);
  execute format('grant select, insert, update, delete on %s to %I, %I', target, home || '_app', home || '_worker');
end $$;

-- Rights on a table that belongs to no tenant.
create or replace function vedette.share(target regclass) returns void language plpgsql as $$
declare
  home name;
begin
  if exists (select from pg_attribute where attrelid = target and attname = 'tenant_id' and not attisdropped) then
    raise exception 'vedette.share: table % has a tenant_id; use vedette.protect', target;
  end if;
  select n.nspname into home from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
  execute format('grant select, insert, update, delete on %s to %I, %I', target, home || '_app', home || '_worker');
end $$;

-- The tables of outbox.h, in the current schema.
create or replace function vedette.create_outbox() returns void language plpgsql as $$
begin
  create table outbox (
    tenant_id text not null default coalesce(nullif(current_setting('app.tenant', true), ''), ''),
    id bigint generated always as identity,
    message_id text not null,
    subject text not null,
    type text not null,
    content_type text not null,
    headers jsonb not null,
    payload bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    attempts int not null default 0,
    last_error text,
    published_at timestamptz,
    failed_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, message_id));
  create index outbox_waiting on outbox (id) where published_at is null and failed_at is null;
  create index outbox_published on outbox (published_at) where published_at is not null;
  create table inbox (
    tenant_id text not null default coalesce(nullif(current_setting('app.tenant', true), ''), ''),
    consumer text not null,
    message_id text not null,
    handled_at timestamptz not null default now(),
    primary key (tenant_id, consumer, message_id));
  create index inbox_handled on inbox (handled_at);
  perform vedette.protect('outbox');
  perform vedette.protect('inbox');
end $$;

create or replace function vedette.drop_outbox() returns void language plpgsql as $$
begin
  drop table inbox;
  drop table outbox;
end $$;
)sql";

constexpr size_t kMinPasswordLength = 16;

/// [a-z][a-z0-9_]*, at most `longest` bytes.
bool IsPlainName(std::string_view name, size_t longest) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && name.size() <= longest && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

absl::Status CreateDatabase(const std::string& conninfo, const std::string& database) {
  ASSIGN_OR_RETURN(const auto c, Connection::Open(conninfo));
  ASSIGN_OR_RETURN(const Result found, c->Exec("select 1 from pg_database where datname = $1", {database}));
  if (!found.empty()) return absl::OkStatus();
  const absl::Status created =
      c->Script(fmt::format("create database {} encoding 'UTF8' template template0", QuoteIdentifier(database)));
  return absl::IsAlreadyExists(created) ? absl::OkStatus() : created;
}

absl::Status EnsureRole(Connection& c, const std::string& role, std::string_view attributes,
                        const std::string& password) {
  ASSIGN_OR_RETURN(const Result found, c.Exec("select 1 from pg_roles where rolname = $1", {role}));
  if (found.empty()) {
    const absl::Status created = c.Script(fmt::format("create role {} nologin", QuoteIdentifier(role)));
    if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  }
  std::string secret;
  if (!password.empty()) {
    ASSIGN_OR_RETURN(const std::string verifier, c.EncryptPassword(role, password));
    secret = " password " + QuoteLiteral(verifier);
  }
  return c.Script(fmt::format("alter role {} with nosuperuser nocreatedb nocreaterole noreplication nobypassrls {}{}",
                              QuoteIdentifier(role), attributes, secret));
}

absl::Status EnsureService(Connection& c, const std::string& database, const ServiceCredentials& credentials) {
  const ServiceNames names(credentials.service);
  if (!IsPlainName(names.schema, 40)) {
    return InvalidArgument("the service name {} must be lower-case letters, digits and dashes, at most 40",
                           credentials.service);
  }
  if (credentials.owner_password.size() < kMinPasswordLength || credentials.app_password.size() < kMinPasswordLength) {
    return InvalidArgument("{}: passwords of database roles need at least {} characters", credentials.service,
                           kMinPasswordLength);
  }
  RETURN_IF_ERROR(EnsureRole(c, names.owner_role, "login noinherit", credentials.owner_password));
  RETURN_IF_ERROR(EnsureRole(c, names.worker_role, "nologin noinherit", ""));
  // NOINHERIT: the policy for the worker role must not apply to the app role until it says SET ROLE.
  RETURN_IF_ERROR(EnsureRole(c, names.app_role, "login noinherit", credentials.app_password));
  const std::string db = QuoteIdentifier(database), schema = QuoteIdentifier(names.schema);
  const std::string owner = QuoteIdentifier(names.owner_role), app = QuoteIdentifier(names.app_role),
                    worker = QuoteIdentifier(names.worker_role);
  std::string script = fmt::format("grant {} to {};", worker, app);
  script += fmt::format("create schema if not exists {} authorization {};", schema, owner);
  script += fmt::format("revoke all on schema {} from public; grant usage on schema {} to {}, {};", schema, schema, app,
                        worker);
  script += fmt::format("grant connect on database {} to {}, {};", db, owner, app);
  // The worker role needs temporary tables too: bulk writes stage there.
  script += fmt::format("grant temporary on database {} to {}, {};", db, app, worker);
  for (const std::string& role : {owner, app})
    script += fmt::format("alter role {} in database {} set search_path = {};", role, db, schema);
  return c.Script(script);
}

}  // namespace

ServiceNames::ServiceNames(std::string_view service) : schema(service) {
  for (char& ch : schema) {
    if (ch == '-') ch = '_';
  }
  owner_role = schema + "_owner";
  app_role = schema + "_app";
  worker_role = schema + "_worker";
}

absl::Status Bootstrap(const std::string& superuser_conninfo, const std::string& database,
                       const std::vector<ServiceCredentials>& services) {
  if (!IsPlainName(database, 60))
    return InvalidArgument("the database name {} must be lower-case letters, digits and underscores", database);
  RETURN_IF_ERROR(Annotate(CreateDatabase(superuser_conninfo, database), "creating the database"));
  ASSIGN_OR_RETURN(const std::string conninfo, WithKeyword(superuser_conninfo, "dbname", database));
  ASSIGN_OR_RETURN(const auto c, Connection::Open(conninfo));
  // One at a time: concurrent ALTER ROLE and GRANT on the same row fail with "tuple concurrently updated". Roles belong
  // to the whole server, so the lock must too: advisory locks are per database, hence a lock on a shared catalogue's
  // row.
  RETURN_IF_ERROR(c->Script("begin; lock table pg_catalog.pg_authid in share row exclusive mode"));
  RETURN_IF_ERROR(
      Annotate(c->Script(fmt::format("revoke all on database {} from public;", QuoteIdentifier(database)) + kHelpers),
               "creating the helper functions"));
  for (const ServiceCredentials& s : services) {
    RETURN_IF_ERROR(Annotate(EnsureService(*c, database, s), fmt::format("roles and schema of {}", s.service)));
  }
  return c->Script("commit");
}

absl::StatusOr<std::vector<std::string>> TenantIsolationDefects(Connection& connection, const std::string& schema) {
  ASSIGN_OR_RETURN(const Result r, connection.Exec(R"sql(
    with t as (
      select c.oid, c.relname, c.relispartition, c.relrowsecurity, c.relforcerowsecurity
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      where n.nspname = $1 and c.relkind in ('r', 'p')),
    app as (select oid from pg_roles where rolname = $1 || '_app'),
    other as (select r.oid from pg_roles r where r.rolname in ($1 || '_app', $1 || '_worker'))
    select relname, defect from t, lateral (
      select 'row-level security is not enabled' where not relrowsecurity
      union all select 'row-level security is not forced' where not relforcerowsecurity
      union all select 'no policy for everyone with USING and WITH CHECK on the tenant' where not relispartition and not exists (
        select from pg_policy p where p.polrelid = t.oid and p.polpermissive and p.polcmd = '*' and p.polroles = '{0}'
          and pg_get_expr(p.polqual, t.oid) like '%app.tenant%' and pg_get_expr(p.polwithcheck, t.oid) like '%app.tenant%')
      union all select 'policy ' || p.polname || ' lets the app role past the tenant' from pg_policy p, app
        where p.polrelid = t.oid and p.polpermissive and (p.polroles @> array[app.oid] or p.polroles = '{0}')
          and (pg_get_expr(p.polqual, t.oid) not like '%app.tenant%' or pg_get_expr(p.polwithcheck, t.oid) not like '%app.tenant%')
      union all select 'tenant_id is not the first column of the primary key' where not exists (
        select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
          where i.indrelid = t.oid and i.indisprimary and a.attname = 'tenant_id')
      union all select 'the app role may touch a partition directly' from app where relispartition
        and (has_table_privilege(app.oid, t.oid, 'select') or has_table_privilege(app.oid, t.oid, 'insert'))
      union all select 'TRUNCATE, which ignores row-level security, is granted' where exists (
        select from other where has_table_privilege(other.oid, t.oid, 'truncate'))
    ) as d(defect)
    order by 1, 2)sql",
                                                   {schema}));
  std::vector<std::string> out;
  for (const Row row : r) out.push_back(fmt::format("{}.{}: {}", schema, row.Text(0), row.Text(1)));
  return out;
}

}  // namespace vedette::storage
