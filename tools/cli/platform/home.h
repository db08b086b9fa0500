// The folder of a local platform (`--home`, $VEDETTE_HOME, or ./.vedette): what lies where.
//   secrets/   passwords and tokens, 0700     config/   one JSON per service     logs/   one file per process
//   postgres/  nats/  objects/                data      state.json               what runs, written by the supervisor
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/flags.h"

namespace vedette::cli {

/// Flag --home, for every platform command.
extern const FlagGroup kHomeFlags;

struct Home {
  std::string root;

  std::string Secret(std::string_view name) const { return root + "/secrets/" + std::string(name); }
  std::string Config(std::string_view service) const { return root + "/config/" + std::string(service) + ".json"; }
  std::string Log(std::string_view name) const { return root + "/logs/" + std::string(name) + ".log"; }
  std::string State() const { return root + "/state.json"; }
  std::string Objects() const { return root + "/objects"; }
  std::string Nats() const { return root + "/nats"; }
  std::string Postgres() const { return root + "/postgres/data"; }

  /// The folder that the command line or the environment names; does not create anything.
  static Home From(const Args& args);
  /// Creates what is missing. Errors name the folder.
  absl::Status Create() const;
  /// The secret of this name, made (random, 48 hexadecimal digits) when it is not there yet. Mode 0600.
  absl::StatusOr<std::string> MakeSecret(std::string_view name) const;
};

/// Writes the file whole or not at all, mode 0600.
absl::Status WritePrivate(const std::string& path, std::string_view content);
absl::StatusOr<std::string> ReadWhole(const std::string& path);

/// The nine services, in the order in which they start: each after those it calls.
struct ServiceInfo {
  std::string_view name;
  std::string_view proto_service;  ///< asked for its health; empty: the process as a whole
  int port_offset;                 ///< from the base port
  bool database;
  bool messages;
};
std::span<const ServiceInfo> Services();

/// Ports of one platform.
struct Ports {
  int rest = 0;
  int postgres = 0;
  int nats = 0;
  std::map<std::string, int> grpc;     ///< by service
  std::map<std::string, int> metrics;

  /// base, base + 1..9, base + 100..., base + 32 (PostgreSQL), base + 22 (NATS). RESOURCE_EXHAUSTED names every port that
  /// is in use.
  static absl::StatusOr<Ports> From(int base);
  /// Any that are free.
  static absl::StatusOr<Ports> Free();
};

}  // namespace vedette::cli
