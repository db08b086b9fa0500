// Starts a local platform and keeps it running: PostgreSQL, NATS and the nine services, each a process of its own.
#pragma once

#include <absl/status/status.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/platform/home.h"
#include "cli/platform/state.h"
#include "devcluster/devcluster.h"
#include "devcluster/process.h"

namespace vedette::cli {

struct SupervisorOptions {
  Home home;
  Ports ports;
  std::string tenant = "default";  ///< of the development token
  std::string binaries;            ///< folder of the vedette-* programs
  /// Replaces settings of services: {"detector": {"--set", "worker.ack_wait_seconds=2"}}.
  std::map<std::string, std::vector<std::string>> extra_arguments = {};
};

class Supervisor {
 public:
  explicit Supervisor(SupervisorOptions options);
  ~Supervisor();

  /// Everything, in order; returns when all services are SERVING.
  absl::Status Start();
  /// Until SIGINT or SIGTERM (which the caller has blocked): starts again what dies, renews tokens.
  void Run();
  /// Services first, then NATS and PostgreSQL.
  void Stop();

 private:
  struct Child;
  absl::Status StartServers();
  absl::Status WriteTokens();
  absl::Status WriteConfig(const ServiceInfo& service);
  absl::Status StartService(Child& child);
  absl::Status WaitUntilServing(Child& child);
  void Revive(Child& child);
  void ReviveServers();
  void Step(const std::string& step);
  absl::Status Save();

  SupervisorOptions options_;
  PlatformState state_;
  std::unique_ptr<devcluster::PostgresServer> postgres_;
  std::unique_ptr<devcluster::NatsServer> nats_;
  std::vector<Child> children_;
  std::map<std::string, std::string> passwords_;  ///< of database roles
  std::string private_key_;                       ///< signs this start's tokens; never written anywhere
};

}  // namespace vedette::cli
