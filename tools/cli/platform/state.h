// What a local platform is doing, as its supervisor writes it to state.json and other commands read it.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "cli/platform/home.h"

namespace vedette::cli {

struct ServiceState {
  std::string name;
  pid_t pid = -1;
  std::string address;  ///< 127.0.0.1:port of gRPC
  std::string metrics;  ///< URL
  int restarts = 0;
};

struct PlatformState {
  std::string phase;  ///< starting, ready, failed, stopping
  std::string step;   ///< what is being done, in words
  std::string error;
  pid_t supervisor = -1;
  std::string rest;  ///< URL
  int postgres_port = 0;
  pid_t postgres_pid = -1;
  int nats_port = 0;
  pid_t nats_pid = -1;
  std::vector<ServiceState> services;
};

absl::Status WriteState(const Home& home, const PlatformState& state);
/// FAILED_PRECONDITION ("is not running here; start it with ...") when there is none or its supervisor is gone.
absl::StatusOr<PlatformState> ReadState(const Home& home);
/// The state as it was last written, also of a platform that ended.
absl::StatusOr<PlatformState> LastState(const Home& home);

/// "SERVING", "NOT_SERVING", or why it cannot be told ("down").
std::string Health(const std::string& address, std::string_view proto_service);

}  // namespace vedette::cli
