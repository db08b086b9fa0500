// PostgreSQL and nats-server of our own, on 127.0.0.1, from the distribution's packages: for `vedette up` and the
// tests.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <memory>
#include <string>

#include "devcluster/process.h"

namespace vedette::devcluster {

struct PostgresOptions {
  std::string
      data_dir;  ///< created and initialised when empty or missing; its parents must be searchable by the server's user
  int port = 0;  ///< 0: a free one
  std::string password;  ///< of the superuser "postgres", at least 16 characters; must be the one the directory was
                         ///< initialised with
  std::string log_file = {};  ///< default: <data_dir>.log
  bool durable = true;        ///< false for tests: no fsync
  int max_connections = 200;
  bool die_with_parent = true;
  absl::Duration start_timeout = absl::Seconds(60);
};

/// One PostgreSQL server. As root it runs as the user "postgres" (which it must not be root), else as we do.
/// Passwords are demanded on every connection (SCRAM); no Unix socket is opened.
class PostgresServer {
 public:
  /// UNAVAILABLE with the end of the log when it does not come up; NOT_FOUND when PostgreSQL is not installed.
  static absl::StatusOr<std::unique_ptr<PostgresServer>> Start(PostgresOptions options);
  ~PostgresServer();  ///< stops it, unless it was detached

  /// Leaves the server running when this object goes (start it with die_with_parent = false). Returns its pid, to be
  /// stopped later with SIGINT (fast shutdown).
  pid_t Detach();

  absl::Status Stop();     ///< fast shutdown: open transactions are rolled back
  absl::Status Kill();     ///< SIGKILL, for tests; waits until the port is free again
  absl::Status Restart();  ///< after Stop or Kill: same folder, port and password
  bool Running();
  pid_t pid() const { return process_.pid(); }
  int port() const { return options_.port; }
  /// "host=127.0.0.1 port=... user=postgres password=... dbname=..."; with another user for a service's roles.
  std::string Conninfo(const std::string& database = "postgres") const;
  std::string Conninfo(const std::string& database, const std::string& user, const std::string& password) const;

 private:
  explicit PostgresServer(PostgresOptions options, Process process)
      : options_(std::move(options)), process_(std::move(process)) {}
  PostgresOptions options_;
  Process process_;
};

struct NatsOptions {
  std::string data_dir;       ///< JetStream's files and the configuration (with the token, mode 0600)
  int port = 0;               ///< 0: a free one
  int monitor_port = -1;      ///< -1: none; 0: a free one
  std::string token;          ///< at least 16 characters
  std::string log_file = {};  ///< default: <data_dir>/nats.log
  int64_t max_file_bytes = int64_t{8} << 30;
  int64_t max_payload_bytes = int64_t{8} << 20;
  bool die_with_parent = true;
  absl::Duration start_timeout = absl::Seconds(30);
};

/// One nats-server with JetStream.
class NatsServer {
 public:
  static absl::StatusOr<std::unique_ptr<NatsServer>> Start(NatsOptions options);
  ~NatsServer();  ///< stops it, unless it was detached

  /// Leaves the server running when this object goes. Returns its pid, to be stopped later with SIGTERM.
  pid_t Detach();
  absl::Status Stop();
  absl::Status Kill();
  absl::Status Restart();
  bool Running();
  pid_t pid() const { return process_.pid(); }
  int port() const { return options_.port; }
  int monitor_port() const { return options_.monitor_port; }
  const std::string& token() const { return options_.token; }
  /// "nats://127.0.0.1:port", without the token.
  std::string Url() const;

 private:
  explicit NatsServer(NatsOptions options, Process process)
      : options_(std::move(options)), process_(std::move(process)) {}
  NatsOptions options_;
  Process process_;
};

}  // namespace vedette::devcluster
