// A small service to try the library with: notes, which belong to tenants, and an outbox.
#pragma once

#include "storage/migrations.h"
#include "storage/transaction.h"
#include "support/support.h"

namespace vedette::storage {

inline constexpr MigrationFile kNotes[] = {
    {"0001_notes.sql", R"(
create table notes (tenant_id text not null, id bigint not null, body text, weight double precision, tags text[],
                    raw bytea, at timestamptz, primary key (tenant_id, id));
select vedette.protect('notes');
create table colours (name text primary key);
select vedette.share('colours');
select vedette.create_outbox();
-- @down
select vedette.drop_outbox();
drop table colours;
drop table notes;
)"},
    {"0002_index.sql", R"(
create index notes_at on notes (tenant_id, at);
-- @down
drop index notes_at;
)"},
};

inline testing::ServiceDatabase Notes() { return testing::NewServiceDatabase("demo-notes", kNotes); }

/// The single value of a query in its own transaction.
inline absl::StatusOr<int64_t> Count(Pool& pool, std::string_view tenant, std::string_view sql) {
  int64_t n = -1;
  const absl::Status s = InTenant(pool, tenant, [&](Tx& tx) -> absl::Status {
    const absl::StatusOr<Result> r = tx.Exec(sql);
    if (!r.ok()) return r.status();
    n = (*r)[0].Int64(0);
    return absl::OkStatus();
  });
  if (!s.ok()) return s;
  return n;
}

inline absl::Status Insert(Pool& pool, std::string_view tenant, int64_t id, std::string_view body,
                           std::string_view row_tenant = {}) {
  return InTenant(pool, tenant, [&](Tx& tx) {
    return tx
        .Exec("insert into notes (tenant_id, id, body) values ($1, $2, $3)",
              {row_tenant.empty() ? tenant : row_tenant, id, body})
        .status();
  });
}

}  // namespace vedette::storage
