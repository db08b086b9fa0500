// The gRPC server of a process: services, health, reflection, limits, TLS, drain. Handlers are written with rpc.h.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <grpcpp/impl/service_type.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/auth.h"
#include "runtime/metrics.h"
#include "runtime/rpc.h"
#include "vedette/runtime/v1/config.pb.h"

namespace vedette::runtime {

class Server {
 public:
  /// verifier and metrics must outlive it.
  Server(v1::ServerConfig config, const TokenVerifier& verifier, Metrics& metrics);
  /// Stops when that was not done.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Before Start. S is the generated service (triage::v1::TriageService). Mistakes (a method without a permission, two
  /// methods with the same messages) are reported by Start.
  template <typename S>
  void AddService(std::unique_ptr<grpc::Service> service) {
    Add(S::service_full_name(), std::move(service));
  }
  /// Before Start. Asked every second on a thread of its own; must answer within seconds. SERVING when all are OK.
  void AddReadiness(std::string name, std::function<absl::Status()> check);
  /// Before Start. Called with every unary and server-streaming request, after the caller was authorised.
  void SetRequestCheck(std::function<absl::Status(const google::protobuf::Message&)> check);

  absl::Status Start();
  /// The port that is listened on, after Start.
  int port() const;
  /// True when every readiness check passed when last asked.
  bool serving() const;
  /// Health answers NOT_SERVING from now on; calls still come in. Stop does this too.
  void SetNotServing();
  /// NOT_SERVING, drain tokens fire, no new calls; calls in progress get shutdown_seconds, then they are cancelled.
  /// Returns when the last call is over. May be called twice.
  void Stop();

  struct State;
  State& state() { return *state_; }

 private:
  void Add(std::string_view full_name, std::unique_ptr<grpc::Service> service);
  std::shared_ptr<State> state_;
};

}  // namespace vedette::runtime
