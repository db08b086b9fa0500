// cpp-httplib's server with our bounds: connections are counted, read through Connection, watched and drained.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <httplib.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "runtime/metrics.h"
#include "runtime/trace.h"
#include "runtime/work_pool.h"
#include "services/gateway/adapters/http_connection.h"
#include "vedette/gateway/v1/config.pb.h"

namespace vedette::gateway {

/// One request on its way, for the handler, the access log and the metrics.
struct Exchange {
  absl::Time started;
  Connection* connection = nullptr;
  std::string request_id;  ///< the client's x-request-id when it is a plain one, else a new one
  runtime::TraceContext trace;
  std::string route = "unmatched";  ///< a template, never a path: label of metrics
  std::string method = "other";     ///< one of a few words: label of metrics
  std::string tenant;
  std::string framing_error;  ///< the request's body cannot be told from the next request
  bool body_read = true;      ///< the body, if there is one, was read to its end
  bool quiet = false;         ///< logged as debug
  int status = 0;
  std::stop_token abort;  ///< the server gives up on calls
  std::stop_token drain;  ///< the server wants to stop: streams end
};

/// What the server does with requests. Thread-safe.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// Before the body of a request with "Expect: 100-continue" is asked for. False: `response` is the answer.
  virtual bool Admit(const httplib::Request& request, httplib::Response& response, Exchange& exchange) = 0;
  /// `body` is null for methods that have none. Sets exchange.body_read.
  virtual void Handle(const httplib::Request& request, httplib::Response& response, const httplib::ContentReader* body,
                      Exchange& exchange) = 0;
  /// Headers of every answer, also of those that the handler never saw.
  virtual void Finish(const httplib::Request& request, httplib::Response& response, Exchange& exchange) = 0;
};

class HttpServer : private httplib::Server {
 public:
  /// Listens at once (connections wait until Run). `handler` and `metrics` must outlive it.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Create(const v1::HttpConfig& config, absl::Duration shutdown,
                                                            HttpHandler& handler, runtime::Metrics& metrics);
  ~HttpServer() override;

  int port() const { return port_; }
  bool listening() const { return !drain_.stop_requested(); }
  /// Serves until `stop` fires and the last request was answered, or cancelled after the shutdown time.
  absl::Status Run(const std::stop_token& stop);

 private:
  HttpServer(const v1::HttpConfig& config, absl::Duration shutdown, HttpHandler& handler, runtime::Metrics& metrics);
  class Queue;

  void Route();
  void Setup(httplib::Request& request, Exchange& exchange) const;
  void Record(const Exchange& exchange, const Connection& connection);
  void Refuse(socket_t socket);
  void Drain();
  bool process_and_close_socket(socket_t socket) override;

  HttpHandler& handler_;
  runtime::Metrics& metrics_;
  const ConnectionLimits limits_;
  const absl::Duration shutdown_;
  const int max_connections_;
  SslContext tls_;
  int port_ = 0;
  std::stop_source drain_, abort_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool ended_ = false;
  prometheus::Gauge& open_;
  prometheus::Counter& refused_;
};

}  // namespace vedette::gateway
