#include <absl/time/clock.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/status.h"
#include "devcluster/devcluster.h"
#include "storage/connection.h"

namespace vedette::devcluster {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMinPasswordLength = 16;
constexpr char kServerUser[] = "postgres";

/// The newest installed PostgreSQL, or the folder in VEDETTE_POSTGRES_BIN.
absl::StatusOr<std::string> FindBinaries() {
  if (const char* given = std::getenv("VEDETTE_POSTGRES_BIN"); given != nullptr && *given != '\0')
    return std::string(given);
  int best = -1;
  std::string folder;
  std::error_code error;
  for (const auto& e : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const int version = std::atoi(e.path().filename().c_str());
    if (version > best && fs::exists(e.path() / "bin/postgres", error)) {
      best = version;
      folder = (e.path() / "bin").string();
    }
  }
  if (folder.empty())
    return NotFound("PostgreSQL's server is not installed (package postgresql-15; or set VEDETTE_POSTGRES_BIN)");
  return folder;
}

std::string RunAs() { return ::geteuid() == 0 ? kServerUser : ""; }

/// As root the server runs as "postgres", which must be able to reach its folder.
absl::Status GiveTo(const std::string& path) {
  if (::geteuid() != 0) return absl::OkStatus();
  const passwd* user = ::getpwnam(kServerUser);
  if (user == nullptr)
    return NotFound("there is no user {} to run PostgreSQL as (package postgresql-15 makes it)", kServerUser);
  if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
    return absl::PermissionDeniedError(fmt::format("cannot give {} to {}", path, kServerUser));
  for (fs::path parent = fs::path(path).parent_path(); parent != parent.root_path(); parent = parent.parent_path()) {
    struct stat s;
    if (::stat(parent.c_str(), &s) == 0 && (s.st_mode & S_IXOTH) == 0 && s.st_uid != user->pw_uid) {
      return FailedPrecondition(
          "PostgreSQL runs as {} and cannot pass through {} (chmod o+x), or choose another folder", kServerUser,
          parent.string());
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> ServerEnvironment() { return {"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}; }

absl::Status Initialise(const std::string& bin, const PostgresOptions& o) {
  // initdb takes the password from a file only; it lives for this moment, readable by the server's user alone.
  const std::string secret = o.data_dir + ".pwfile";
  {
    const mode_t old = ::umask(077);
    std::ofstream out(secret, std::ios::trunc);
    out << o.password << "\n";
    ::umask(old);
    if (!out.flush()) return InvalidArgument("cannot write {}", secret);
  }
  absl::Status status = GiveTo(secret);
  if (status.ok()) {
    ProcessOptions p;
    p.argv = {bin + "/initdb",      "-D",          o.data_dir, "-U",   "postgres",         "--auth=scram-sha-256",
              "--pwfile=" + secret, "--no-locale", "-E",       "UTF8", "--no-instructions"};
    if (!o.durable) p.argv.push_back("--no-sync");
    p.env = ServerEnvironment();
    p.log_file = o.log_file;
    p.run_as = RunAs();
    p.directory = "/";
    absl::StatusOr<Process> initdb = Process::Spawn(p);
    status = initdb.status();
    if (initdb.ok()) {
      int code = 0;
      ::waitpid(initdb->pid(), &code, 0);
      if (code != 0) status = Unavailable("initdb failed:\n{}", Tail(o.log_file));
    }
  }
  std::error_code ignored;
  fs::remove(secret, ignored);
  return status;
}

absl::StatusOr<Process> Launch(const PostgresOptions& o) {
  RETURN_IF_ERROR(CheckPortFree(o.port));
  ASSIGN_OR_RETURN(const std::string bin, FindBinaries());
  ProcessOptions p;
  const auto set = [&p](const std::string& setting) {
    p.argv.push_back("-c");
    p.argv.push_back(setting);
  };
  p.argv = {bin + "/postgres", "-D", o.data_dir, "-p", std::to_string(o.port)};
  set("listen_addresses=127.0.0.1");
  set("unix_socket_directories=");
  set(fmt::format("max_connections={}", o.max_connections));
  set("password_encryption=scram-sha-256");
  set("log_line_prefix=%m [%p] %u@%d ");
  if (o.durable) {
    set("shared_buffers=256MB");
    set("max_wal_size=2GB");
    set("wal_compression=lz4");
  } else {
    for (const char* s : {"fsync=off", "full_page_writes=off", "shared_buffers=32MB", "autovacuum=off"}) set(s);
  }
  p.env = ServerEnvironment();
  p.log_file = o.log_file;
  p.run_as = RunAs();
  p.directory = "/";
  p.die_with_parent = o.die_with_parent;
  p.death_signal = SIGINT;  // fast shutdown
  ASSIGN_OR_RETURN(Process process, Process::Spawn(p));
  // No password here: asking whether it accepts connections needs none.
  const std::string probe =
      fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres connect_timeout=2", o.port);
  const absl::Time deadline = absl::Now() + o.start_timeout;
  while (true) {
    if (!process.Running()) return Unavailable("PostgreSQL ended at start:\n{}", Tail(o.log_file));
    if (storage::WaitUntilAccepting(probe, absl::Now() + absl::Milliseconds(100)).ok()) return process;
    if (absl::Now() > deadline) {
      (void)process.Stop(SIGQUIT, absl::Seconds(10));
      return Unavailable("PostgreSQL did not come up within {} s:\n{}", absl::ToInt64Seconds(o.start_timeout),
                         Tail(o.log_file));
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<PostgresServer>> PostgresServer::Start(PostgresOptions o) {
  if (o.data_dir.empty()) return InvalidArgument("PostgreSQL needs a data folder");
  if (o.password.size() < kMinPasswordLength)
    return InvalidArgument("the superuser's password needs at least {} characters", kMinPasswordLength);
  std::error_code error;
  o.data_dir = fs::absolute(o.data_dir, error).lexically_normal().string();
  while (o.data_dir.size() > 1 && o.data_dir.back() == '/') o.data_dir.pop_back();
  if (o.log_file.empty()) o.log_file = o.data_dir + ".log";
  ASSIGN_OR_RETURN(const std::string bin, FindBinaries());
  if (!fs::exists(o.data_dir + "/PG_VERSION", error)) {
    if (!fs::create_directories(o.data_dir, error) && error)
      return absl::PermissionDeniedError(fmt::format("cannot make {}: {}", o.data_dir, error.message()));
    if (!fs::is_empty(o.data_dir, error))
      return FailedPrecondition("{} is not empty and holds no PostgreSQL data", o.data_dir);
    ::chmod(o.data_dir.c_str(), 0700);
    RETURN_IF_ERROR(GiveTo(o.data_dir));
    RETURN_IF_ERROR(Initialise(bin, o));
  }
  if (o.port == 0) {
    ASSIGN_OR_RETURN(o.port, FreePort());
  }
  ASSIGN_OR_RETURN(Process process, Launch(o));
  std::unique_ptr<PostgresServer> server(new PostgresServer(std::move(o), std::move(process)));
  RETURN_IF_ERROR(Annotate(storage::Connection::Open(server->Conninfo()).status(), "signing in as the superuser"));
  return server;
}

PostgresServer::~PostgresServer() { (void)Stop(); }
absl::Status PostgresServer::Stop() { return process_.Stop(SIGINT, absl::Seconds(30)); }

absl::Status PostgresServer::Kill() {
  if (!process_.Running()) return absl::OkStatus();
  RETURN_IF_ERROR(process_.Stop(SIGKILL, absl::Seconds(10)));
  // The backends notice that the postmaster is gone and end; until then they hold the shared memory.
  return absl::OkStatus();
}

absl::Status PostgresServer::Restart() {
  const absl::Time deadline = absl::Now() + options_.start_timeout;
  while (true) {
    // After a kill, a new postmaster refuses to start while backends of the old one are still alive.
    absl::StatusOr<Process> process = Launch(options_);
    if (process.ok()) {
      process_ = *std::move(process);
      return absl::OkStatus();
    }
    if (absl::Now() > deadline) return process.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

pid_t PostgresServer::Detach() { return process_.Release(); }
bool PostgresServer::Running() { return process_.Running(); }

std::string PostgresServer::Conninfo(const std::string& database) const {
  return Conninfo(database, "postgres", options_.password);
}
std::string PostgresServer::Conninfo(const std::string& database, const std::string& user,
                                     const std::string& password) const {
  std::string quoted;
  for (const char c : password) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return fmt::format("host=127.0.0.1 port={} dbname={} user={} password='{}'", options_.port, database, user, quoted);
}

}  // namespace vedette::devcluster
