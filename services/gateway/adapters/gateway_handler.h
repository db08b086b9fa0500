#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "runtime/run.h"
#include "services/gateway/adapters/api.h"
#include "services/gateway/adapters/backend.h"
#include "services/gateway/adapters/http_server.h"
#include "services/gateway/adapters/transcoder.h"
#include "services/gateway/core/routing_table.h"
#include "services/gateway/core/uri.h"

namespace vedette::gateway {

/// What happens to a request: route, caller, body, service, answer. Everything needs a token but GET /, /healthz,
/// /readyz, /openapi.json and the static files.
class GatewayHandler : public HttpHandler {
 public:
  /// Fails when two rules of the API match the same requests, and when an endpoint is missing. `app` must outlive it.
  static absl::StatusOr<std::unique_ptr<GatewayHandler>> Create(const v1::HttpConfig& config, runtime::App& app,
                                                                std::unique_ptr<Api> api);

  bool Admit(const httplib::Request& request, httplib::Response& response, Exchange& exchange) override;
  void Handle(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader* body,
              Exchange& exchange) override;
  void Finish(const httplib::Request& request, httplib::Response& response, Exchange& exchange) override;

 private:
  /// A request that may go on.
  struct Plan {
    const Binding* binding = nullptr;  ///< null: the upload
    NamedValues variables;
    std::string_view query;
    std::string token;
  };

  GatewayHandler(const v1::HttpConfig& config, runtime::App& app, std::unique_ptr<Api> api);
  bool Prepare(const httplib::Request& request, httplib::Response& response, Exchange& exchange, Plan* plan);
  bool Open(const httplib::Request& request, std::string_view path, httplib::Response& response, Exchange& exchange);
  bool OpenPage(std::string_view path, const httplib::Request& request, httplib::Response& response,
                Exchange& exchange);
  bool IsOrigin(const httplib::Request& request) const;
  void Preflight(const httplib::Request& request, const RouteMatch& match, httplib::Response& response) const;
  absl::Status Authenticate(const httplib::Request& request, std::string_view permission, Exchange& exchange,
                            std::string* token) const;
  absl::Status ReadJson(const httplib::Request& request, const httplib::ContentReader* body, Exchange& exchange,
                        std::string* out, int* http_status) const;
  void CallService(const Plan& plan, const httplib::Request& request, httplib::Response& response,
                   const httplib::ContentReader* body, Exchange& exchange);
  void UploadDataset(const Plan& plan, const httplib::Request& request, httplib::Response& response,
                     const httplib::ContentReader& body, Exchange& exchange);
  static runtime::Outgoing CallAs(const std::string& token, const Exchange& exchange, absl::Duration limit,
                                  std::stop_token stop);

  const v1::HttpConfig config_;
  const std::set<std::string> origins_;
  runtime::App& app_;
  const std::unique_ptr<Api> api_;
  const Transcoder transcoder_;
  Backend backend_;
  RoutingTable routes_;
  const std::string openapi_, landing_;
  prometheus::Counter& upload_bytes_;
};

}  // namespace vedette::gateway
