// Typed configuration: one proto message per service (vedette.<service>.v1.Config with a ServerConfig as field `server`).
// Layers, later ones win:
//   1. defaults in code
//   2. --config FILE.json (proto3 JSON; may be given several times)
//   3. environment VEDETTE_<SERVICE>__SERVER__GRPC__PORT=9001   (service in upper case, - as _; levels joined by __)
//   4. --set server.grpc.port=9001
// In 3 and 4 the first level `server` may be left out (VEDETTE_INGEST__GRPC__PORT, --set grpc.port=9001). Repeated
// fields and messages take JSON there; one entry of a map is set as endpoints.ingest=127.0.0.1:9101.
// An unknown key is an error that names the nearest one; all errors are reported at once.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "vedette/runtime/v1/config.pb.h"

namespace vedette::runtime {

enum class ConfigAction { kRun, kCheck, kPrint, kHelp };

/// `config` comes in with the defaults and goes out with every layer applied. args are without the program's name.
absl::StatusOr<ConfigAction> LoadConfig(std::string_view service, std::span<const char* const> args,
                                        const std::map<std::string, std::string>& environment,
                                        google::protobuf::Message* config);
/// This process's environment.
std::map<std::string, std::string> Environment();

/// Port defaults differ by service; the rest is the same for all (see config.proto).
v1::ServerConfig DefaultServerConfig(uint32_t grpc_port, uint32_t metrics_port);
/// Every bound of config.proto, all violations at once.
absl::Status ValidateServerConfig(const v1::ServerConfig& config);
/// JSON with every key. A field whose name ends in password, secret or token is shown as "***" when it is set, and so
/// are passwords inside connection strings and URLs.
std::string PrintConfig(const google::protobuf::Message& config);
/// Every key with type, default and the comment of its proto.
std::string ConfigHelp(std::string_view service, const google::protobuf::Message& defaults);

/// The whole content of a small file (at most 1 MiB), without newlines at its end. For secrets that come by file.
absl::StatusOr<std::string> ReadSecretFile(const std::string& path);

}  // namespace vedette::runtime
