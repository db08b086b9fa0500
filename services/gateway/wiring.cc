#include "services/gateway/wiring.h"

#include <filesystem>

#include "base/status.h"
#include "runtime/log.h"
#include "runtime/status.h"
#include "services/gateway/adapters/gateway_handler.h"

namespace vedette::gateway {

v1::Config DefaultConfig() {
  v1::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(7109, 7200);
  v1::HttpConfig& http = *config.mutable_http();
  http.set_host("127.0.0.1");
  http.set_port(7100);
  http.set_max_connections(256);
  http.set_max_body_mb(16);
  http.set_max_upload_mb(4096);
  http.set_request_timeout_seconds(60);
  http.set_stream_timeout_seconds(3600);
  http.set_keep_alive_seconds(60);
  http.set_header_timeout_seconds(10);
  http.set_body_timeout_seconds(30);
  http.set_min_body_bytes_per_second(1024);
  http.set_heartbeat_seconds(15);
  return config;
}

absl::Status Validate(const v1::Config& config) {
  std::vector<runtime::FieldViolation> wrong;
  const auto bound = [&](std::string_view name, uint64_t value, uint64_t low, uint64_t high) {
    if (value >= low && value <= high) return;
    wrong.push_back({fmt::format("http.{}", name), fmt::format("{} is not within {}-{}", value, low, high)});
  };
  const v1::HttpConfig& h = config.http();
  bound("port", h.port(), 0, 65535);
  bound("max_connections", h.max_connections(), 1, 4096);
  bound("max_body_mb", h.max_body_mb(), 1, 256);
  bound("max_upload_mb", h.max_upload_mb(), 1, 1 << 20);
  bound("request_timeout_seconds", h.request_timeout_seconds(), 1, 3600);
  bound("stream_timeout_seconds", h.stream_timeout_seconds(), 1, 86400);
  bound("keep_alive_seconds", h.keep_alive_seconds(), 1, 3600);
  bound("header_timeout_seconds", h.header_timeout_seconds(), 1, 300);
  bound("body_timeout_seconds", h.body_timeout_seconds(), 1, 600);
  bound("min_body_bytes_per_second", h.min_body_bytes_per_second(), 1, 1 << 30);
  bound("heartbeat_seconds", h.heartbeat_seconds(), 1, 300);
  if (h.host().empty()) wrong.push_back({"http.host", "must not be empty"});
  if (h.tls().cert_file().empty() != h.tls().key_file().empty())
    wrong.push_back({"http.tls", "needs cert_file and key_file"});
  if (!h.tls().ca_file().empty()) wrong.push_back({"http.tls.ca_file", "client certificates are not asked for here"});
  for (const std::string& origin : h.cors_origins()) {
    const bool good = (origin.starts_with("https://") || origin.starts_with("http://")) && !origin.ends_with('/') &&
                      origin.find('*') == std::string::npos;
    if (!good)
      wrong.push_back(
          {"http.cors_origins", fmt::format("\"{}\" is no origin such as https://app.example.com", origin)});
  }
  std::error_code error;
  if (!h.static_directory().empty() && !std::filesystem::is_directory(h.static_directory(), error)) {
    wrong.push_back({"http.static_directory", fmt::format("{} is no folder", h.static_directory())});
  }
  return runtime::InvalidFields(wrong);
}

absl::StatusOr<HttpServer*> BuildServer(const v1::Config& config, runtime::App& app) {
  RETURN_IF_ERROR(Validate(config));
  ASSIGN_OR_RETURN(std::unique_ptr<Api> api, Api::LoadBuiltIn());
  ASSIGN_OR_RETURN(auto handler, GatewayHandler::Create(config.http(), app, std::move(api)));
  GatewayHandler* const owned = app.Own(std::move(handler));
  ASSIGN_OR_RETURN(auto created, HttpServer::Create(config.http(), absl::Seconds(config.server().shutdown_seconds()),
                                                    *owned, app.metrics()));
  HttpServer* const server = app.Own(std::move(created));
  app.server().AddReadiness("http", [server] {
    return server->listening() ? absl::OkStatus() : absl::UnavailableError("the HTTP server has stopped");
  });
  app.AddWorker("http", [server](std::stop_token stop) { return server->Run(stop); });
  return server;
}

absl::Status Build(const v1::Config& config, runtime::App& app) {
  ASSIGN_OR_RETURN(HttpServer* const server, BuildServer(config, app));
  runtime::LogInfo("http", {{"host", config.http().host()}, {"port", server->port()}});
  return absl::OkStatus();
}

}  // namespace vedette::gateway
