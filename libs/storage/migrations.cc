#include "storage/migrations.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <thread>

#include "base/hash.h"
#include "base/status.h"
#include "storage/bootstrap.h"

namespace vedette::storage {
namespace {

struct Parsed {
  int version = 0;
  std::string name, up, down, checksum;
  bool has_down = false;
};

constexpr std::string_view kDownMark = "-- @down";

absl::StatusOr<std::vector<Parsed>> ParseFiles(std::span<const MigrationFile> files) {
  std::vector<Parsed> out;
  for (const MigrationFile& f : files) {
    Parsed p;
    p.name = f.name;
    const char* end = p.name.data() + p.name.size();
    const auto [rest, error] = std::from_chars(p.name.data(), end, p.version);
    if (error != std::errc() || p.version <= 0 || rest == end || *rest != '_') {
      return InvalidArgument("migration {}: the name must start with a number and an underscore", p.name);
    }
    const std::string_view sql = f.sql;
    size_t mark = sql.starts_with(kDownMark) ? 0 : std::string_view::npos;
    if (mark == std::string_view::npos) {
      const size_t at = sql.find(std::string("\n") + std::string(kDownMark));
      if (at != std::string_view::npos) mark = at + 1;
    }
    p.up = sql.substr(0, mark);
    if (mark != std::string_view::npos) {
      p.has_down = true;
      p.down = sql.substr(mark + kDownMark.size());
    }
    p.checksum = Sha256Hex(p.up);
    out.push_back(std::move(p));
  }
  std::sort(out.begin(), out.end(), [](const Parsed& a, const Parsed& b) { return a.version < b.version; });
  for (size_t i = 1; i < out.size(); ++i) {
    if (out[i].version == out[i - 1].version) {
      return InvalidArgument("migrations {} and {} have the same number", out[i - 1].name, out[i].name);
    }
  }
  return out;
}

absl::StatusOr<std::map<int, AppliedMigration>> ReadApplied(Connection& c) {
  ASSIGN_OR_RETURN(const Result exists, c.Exec("select 1 from pg_class where oid = to_regclass('schema_migrations')"));
  std::map<int, AppliedMigration> out;
  if (exists.empty()) return out;
  ASSIGN_OR_RETURN(const Result r, c.Exec("select version, name, checksum, applied_at from schema_migrations"));
  for (const Row row : r) {
    const int version = static_cast<int>(row.Int64("version"));
    out[version] = {version, std::string(row.Text("name")), std::string(row.Text("checksum")), row.Time("applied_at")};
  }
  return out;
}

// A session of the owner, in the schema, holding the schema's migrator lock until it closes.
absl::StatusOr<std::unique_ptr<Connection>> OpenLocked(const std::string& conninfo, const std::string& schema,
                                                       const MigratorOptions& options) {
  ConnectOptions connect;
  connect.application_name = "vedette-migrate";
  connect.statement_timeout = absl::ZeroDuration();
  ASSIGN_OR_RETURN(auto c, Connection::Open(conninfo, connect));
  ASSIGN_OR_RETURN(
      const Result exists,
      c->Exec("select has_schema_privilege(oid, 'create') from pg_namespace where nspname = $1", {schema}));
  if (exists.empty())
    return FailedPrecondition("schema {} does not exist; a superuser must prepare the database first (bootstrap)",
                              schema);
  if (!exists[0].Bool(0))
    return absl::PermissionDeniedError(fmt::format("migrations of {} must run as the owner of its schema", schema));
  RETURN_IF_ERROR(c->Script(fmt::format("set search_path = {}; set lock_timeout = {}", QuoteIdentifier(schema),
                                        absl::ToInt64Milliseconds(options.lock_timeout))));
  const absl::Time deadline = absl::Now() + options.migrator_lock_timeout;
  while (true) {
    ASSIGN_OR_RETURN(const Result locked,
                     c->Exec("select pg_try_advisory_lock(hashtext('vedette migrator'), hashtext($1))", {schema}));
    if (locked[0].Bool(0)) return c;
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(fmt::format("another migrator has been working on {} for too long", schema));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

absl::Status CheckHistory(const std::vector<Parsed>& files, const std::map<int, AppliedMigration>& applied,
                          const std::string& schema) {
  for (const auto& [version, a] : applied) {
    const auto it = std::find_if(files.begin(), files.end(), [v = version](const Parsed& p) { return p.version == v; });
    if (it == files.end()) {
      return FailedPrecondition(
          "schema {} has migration {}, which this program does not know: it is older than the database", schema,
          a.name);
    }
    if (it->checksum != a.checksum) {
      return FailedPrecondition(
          "migration {} of schema {} was changed after it was applied (at {}); undo the change and add a new migration",
          a.name, schema, absl::FormatTime(a.applied_at, absl::UTCTimeZone()));
    }
  }
  const int newest = applied.empty() ? 0 : applied.rbegin()->first;
  for (const Parsed& p : files) {
    if (p.version < newest && !applied.contains(p.version)) {
      return FailedPrecondition(
          "migration {} of schema {} was never applied, but the newer {} was; give it a higher number", p.name, schema,
          applied.rbegin()->second.name);
    }
  }
  return absl::OkStatus();
}

absl::Status Explain(const absl::Status& status, std::string_view what, const std::string& name) {
  if (status.ok()) return status;
  std::string hint;
  if (absl::IsAlreadyExists(status)) hint = " (was it made by hand? drop it, or bring it into the history)";
  if (SqlState(status) == "55P03") hint = " (a table is busy; try again at a quieter time)";
  absl::Status out(status.code(), fmt::format("{} {}: {}{}", what, name, Message(status), hint));
  status.ForEachPayload([&out](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

// Runs `work` between BEGIN and COMMIT.
template <typename Work>
absl::Status InTransaction(Connection& c, Work work) {
  RETURN_IF_ERROR(c.Script("begin"));
  absl::Status status = work();
  if (status.ok()) return c.Script("commit");
  if (c.healthy()) (void)c.Script("rollback");
  return status;
}

absl::Status ApplyOne(Connection& c, const std::string& schema, const Parsed& p) {
  return InTransaction(c, [&]() -> absl::Status {
    RETURN_IF_ERROR(Explain(c.Script(p.up), "migration", p.name));
    ASSIGN_OR_RETURN(const std::vector<std::string> defects, TenantIsolationDefects(c, schema));
    if (!defects.empty()) {
      std::string list;
      for (const std::string& d : defects) list += fmt::format("\n  {}", d);
      return FailedPrecondition(
          "migration {} leaves tables that do not keep tenants apart (select vedette.protect('table')):{}", p.name,
          list);
    }
    const ServiceNames names(schema);
    RETURN_IF_ERROR(c.Script(fmt::format("grant usage on all sequences in schema {} to {}, {}", QuoteIdentifier(schema),
                                         QuoteIdentifier(names.app_role), QuoteIdentifier(names.worker_role))));
    return c
        .Exec("insert into schema_migrations (version, name, checksum) values ($1, $2, $3)",
              {p.version, p.name, p.checksum})
        .status();
  });
}

}  // namespace

Migrator::Migrator(std::string owner_conninfo, std::string schema, std::span<const MigrationFile> files,
                   MigratorOptions options)
    : conninfo_(std::move(owner_conninfo)), schema_(std::move(schema)), files_(files), options_(options) {}

absl::StatusOr<std::vector<int>> Migrator::Up(int to) {
  ASSIGN_OR_RETURN(const std::vector<Parsed> files, ParseFiles(files_));
  ASSIGN_OR_RETURN(const auto c, OpenLocked(conninfo_, schema_, options_));
  RETURN_IF_ERROR(c->Script(
      fmt::format("create table if not exists schema_migrations (version int primary key, name text not null, checksum "
                  "text not null, "
                  "applied_at timestamptz not null default clock_timestamp()); grant select on schema_migrations to {}",
                  QuoteIdentifier(ServiceNames(schema_).app_role))));
  ASSIGN_OR_RETURN(const auto applied, ReadApplied(*c));
  RETURN_IF_ERROR(CheckHistory(files, applied, schema_));
  std::vector<int> done;
  for (const Parsed& p : files) {
    if (p.version > to || applied.contains(p.version)) continue;
    RETURN_IF_ERROR(ApplyOne(*c, schema_, p));
    done.push_back(p.version);
  }
  return done;
}

absl::StatusOr<std::vector<int>> Migrator::Down(int to) {
  ASSIGN_OR_RETURN(std::vector<Parsed> files, ParseFiles(files_));
  ASSIGN_OR_RETURN(const auto c, OpenLocked(conninfo_, schema_, options_));
  ASSIGN_OR_RETURN(const auto applied, ReadApplied(*c));
  RETURN_IF_ERROR(CheckHistory(files, applied, schema_));
  std::reverse(files.begin(), files.end());
  std::vector<int> done;
  for (const Parsed& p : files) {
    if (p.version <= to || !applied.contains(p.version)) continue;
    if (!p.has_down)
      return FailedPrecondition("migration {} has no part after a line \"{}\", so it cannot be reverted", p.name,
                                kDownMark);
    const absl::Status reverted = InTransaction(*c, [&]() -> absl::Status {
      RETURN_IF_ERROR(Explain(c->Script(p.down), "reverting migration", p.name));
      return c->Exec("delete from schema_migrations where version = $1", {p.version}).status();
    });
    RETURN_IF_ERROR(reverted);
    done.push_back(p.version);
  }
  return done;
}

absl::StatusOr<std::vector<AppliedMigration>> Migrator::Applied() {
  ASSIGN_OR_RETURN(const auto c, OpenLocked(conninfo_, schema_, options_));
  ASSIGN_OR_RETURN(const auto applied, ReadApplied(*c));
  std::vector<AppliedMigration> out;
  for (const auto& [version, a] : applied) out.push_back(a);
  return out;
}

absl::Status CheckSchemaVersion(Pool& pool, std::string_view schema, std::span<const MigrationFile> files) {
  ASSIGN_OR_RETURN(const std::vector<Parsed> wanted, ParseFiles(files));
  ASSIGN_OR_RETURN(const Pool::Lease lease, pool.Checkout());
  ASSIGN_OR_RETURN(const auto applied, ReadApplied(*lease));
  for (const Parsed& p : wanted) {
    const auto it = applied.find(p.version);
    if (it == applied.end())
      return FailedPrecondition("schema {} lacks migration {}; run the migrations first", schema, p.name);
    if (it->second.checksum != p.checksum)
      return FailedPrecondition("migration {} of schema {} differs from the one applied", p.name, schema);
  }
  return absl::OkStatus();
}

}  // namespace vedette::storage
