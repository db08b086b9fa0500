#include "support/support.h"

#include <absl/time/clock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/ids.h"
#include "base/status.h"
#include "messaging/internal.h"
#include "messaging/streams.h"

namespace vedette::testing {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(std::string_view what, const absl::Status& status) {
  fmt::print(stderr, "test support: {}: {}\n", what, status.ToString());
  std::abort();
}

void Must(std::string_view what, const absl::Status& status) {
  if (!status.ok()) Die(what, status);
}
template <typename T>
T Must(std::string_view what, absl::StatusOr<T> value) {
  if (!value.ok()) Die(what, value.status());
  return *std::move(value);
}

constexpr char kPrefix[] = "vedette-test-";

// The program's folder; named after its pid, so that a later run can tell which ones nobody uses any more (a test that
// was killed cannot clean up).
class ProgramFolder {
 public:
  ProgramFolder() {
    const fs::path base = fs::temp_directory_path();
    std::error_code error;
    for (const auto& e : fs::directory_iterator(base, error)) {
      const std::string name = e.path().filename().string();
      if (!name.starts_with(kPrefix)) continue;
      const pid_t owner = static_cast<pid_t>(std::atoi(name.c_str() + sizeof kPrefix - 1));
      if (owner > 1 && ::kill(owner, 0) != 0 && errno == ESRCH) fs::remove_all(e.path(), error);
    }
    path_ = (base / fmt::format("{}{}-{}", kPrefix, ::getpid(), RandomHex(3))).string();
    fs::create_directory(path_, error);
    // The database server runs as another user when we are root; it must be able to pass.
    if (error || ::chmod(path_.c_str(), 0711) != 0) Die("temporary folder", absl::InternalError(path_));
  }
  ~ProgramFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

const std::string& Folder() {
  static const ProgramFolder folder;
  return folder.path();
}

// Of the roles; one for the whole program, since roles belong to the server and not to a test's database.
const std::string& RolePassword() {
  static const std::string password = RandomHex(16);
  return password;
}

std::atomic<int> g_next{0};

ServiceDatabase EmptyDatabase(std::string_view service, int pool_size) {
  devcluster::PostgresServer& server = SharedPostgres();
  const storage::ServiceNames names(service);
  ServiceDatabase db;
  db.database = fmt::format("test_{}_{}", names.schema, g_next++);
  db.schema = names.schema;
  db.superuser_conninfo = server.Conninfo(db.database);
  db.owner_conninfo = server.Conninfo(db.database, names.owner_role, RolePassword());
  db.app_conninfo = server.Conninfo(db.database, names.app_role, RolePassword());
  Must("bootstrap",
       storage::Bootstrap(server.Conninfo(), db.database, {{std::string(service), RolePassword(), RolePassword()}}));
  db.pool = std::make_unique<storage::Pool>(db.app_conninfo, pool_size);
  return db;
}

// What a schema holds besides the migrator's own table.
absl::StatusOr<std::vector<std::string>> Leftovers(const ServiceDatabase& db) {
  ASSIGN_OR_RETURN(const auto c, storage::Connection::Open(db.superuser_conninfo));
  ASSIGN_OR_RETURN(const storage::Result r,
                   c->Exec("select 'relation ' || relname from pg_class where relnamespace = $1::regnamespace and "
                           "relname not like 'schema_migrations%' union all "
                           "select 'function ' || proname from pg_proc where pronamespace = $1::regnamespace union all "
                           "select 'type ' || typname from pg_type where typnamespace = $1::regnamespace and typname "
                           "not like '%schema_migrations' order by 1",
                           {db.schema}));
  std::vector<std::string> out;
  for (const storage::Row row : r) out.push_back("left after reverting every migration: " + std::string(row.Text(0)));
  return out;
}

}  // namespace

TempDir::TempDir() : path_(fmt::format("{}/{}", Folder(), g_next++)) {
  if (::mkdir(path_.c_str(), 0755) != 0) Die("temporary folder", absl::InternalError(path_));
}
TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

devcluster::PostgresServer& SharedPostgres() {
  Folder();  // made before the server, so destroyed after it
  static const std::unique_ptr<devcluster::PostgresServer> server =
      Must("PostgreSQL", devcluster::PostgresServer::Start(
                             {.data_dir = Folder() + "/postgres", .password = RandomHex(16), .durable = false}));
  return *server;
}

devcluster::NatsServer& SharedNats() {
  Folder();
  static const std::unique_ptr<devcluster::NatsServer> server =
      Must("nats-server", devcluster::NatsServer::Start({.data_dir = Folder() + "/nats", .token = RandomHex(16)}));
  return *server;
}

ServiceDatabase NewServiceDatabase(std::string_view service, std::span<const storage::MigrationFile> files,
                                   int pool_size) {
  ServiceDatabase db = EmptyDatabase(service, pool_size);
  storage::Migrator migrator(db.owner_conninfo, db.schema, files);
  Must("migrations", migrator.Up().status());
  return db;
}

std::unique_ptr<messaging::Connection> NewNatsConnection() {
  devcluster::NatsServer& server = SharedNats();
  auto connection =
      Must("connecting with nats-server",
           messaging::Connection::Connect({.url = server.Url(), .name = "test", .token = server.token()}));
  for (const messaging::StreamSpec& spec : messaging::OurStreams()) {
    // Deleted rather than purged: consumers and the memory of duplicates go too.
    js_DeleteStream(connection->impl().js, spec.name.c_str(), nullptr, nullptr);
  }
  Must("streams", messaging::EnsureOurStreams(*connection));
  return connection;
}

std::vector<std::string> MigrationDefects(std::string_view service, std::span<const storage::MigrationFile> files) {
  const ServiceDatabase db = EmptyDatabase(service, 1);
  storage::Migrator migrator(db.owner_conninfo, db.schema, files);
  const auto failed = [](std::string_view what, const absl::Status& s) {
    return std::vector<std::string>{fmt::format("{}: {}", what, s.ToString())};
  };
  if (const auto up = migrator.Up(); !up.ok()) return failed("up", up.status());
  auto owner = Must("owner", storage::Connection::Open(db.owner_conninfo));
  std::vector<std::string> defects = Must("catalogue", storage::TenantIsolationDefects(*owner, db.schema));
  if (const auto down = migrator.Down(0); !down.ok()) return failed("down", down.status());
  for (std::string& left : Must("catalogue", Leftovers(db))) defects.push_back(std::move(left));
  if (const auto again = migrator.Up(); !again.ok()) return failed("up after down", again.status());
  return defects;
}

}  // namespace vedette::testing
