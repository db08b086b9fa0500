// A service process. main.cc of a service:
//
//   int main(int argc, char** argv) {
//     return vedette::runtime::ServiceMain(argc, argv, "triage", vedette::triage::DefaultConfig(), vedette::triage::Build);
//   }
//
// with, in wiring.cc,
//
//   absl::Status Build(const v1::Config& config, runtime::App& app) {
//     ASSIGN_OR_RETURN(auto pool, storage::Pool::Create(...));
//     auto* db = app.Own(std::move(pool));
//     auto* core = app.Own(std::make_unique<Core>(...));
//     app.server().AddReadiness("postgres", [db] { return db->Ping(); });
//     app.server().AddService<v1::TriageService>(std::make_unique<TriageGrpc>(app.server(), *core));
//     app.AddWorker("outbox-relay", [relay](std::stop_token stop) { return relay->RunOnce(stop); });
//     return absl::OkStatus();
//   }
//
// The configuration message has a field `server` of type vedette.runtime.v1.ServerConfig.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/auth.h"
#include "runtime/background.h"
#include "runtime/client.h"
#include "runtime/config.h"
#include "runtime/metrics.h"
#include "runtime/server.h"

namespace vedette::runtime {

/// Everything one service is made of, and the order in which it starts and ends. Tests build one with the same Build
/// function, port 0 and Start()/Stop(). Used by one thread.
class App {
 public:
  /// Reads the keys; fails when auth.public_key_file is missing or bad. A `server` out of bounds fails too.
  static absl::StatusOr<std::unique_ptr<App>> Create(std::string service, const v1::ServerConfig& config);
  /// Stops; then destroys what it owns, the last added first.
  ~App();

  const std::string& service() const { return service_; }
  const v1::ServerConfig& config() const { return config_; }
  Server& server() { return *server_; }
  Metrics& metrics() { return metrics_; }
  Channels& channels() { return channels_; }
  const TokenVerifier& verifier() const { return *verifier_; }
  /// The identity of this service's own work (auth.service_token_file).
  const TokenFile& service_token() const { return service_token_; }

  /// Keeps an object until after the server and the workers stopped. Own what others use first.
  template <typename T>
  T* Own(std::unique_ptr<T> object) {
    T* raw = object.get();
    owned_.emplace_back(object.release(), [](void* p) { delete static_cast<T*>(p); });
    return raw;
  }
  /// A loop that starts with the app, once it is built. The returned worker may be woken, and lives as long as the app.
  BackgroundWorker* AddWorker(std::string name, BackgroundWorker::Round round, BackgroundOptions options = {});
  /// Called first when the service stops, before the server drains (for example to leave a consumer group).
  void OnStop(std::function<void()> fn);

  /// Starts metrics, server, workers.
  absl::Status Start();
  int metrics_port() const;
  /// NOT_SERVING, drain_seconds, server stops, workers stop. May be called twice.
  void Stop();

 private:
  App(std::string service, v1::ServerConfig config, std::unique_ptr<TokenVerifier> verifier);

  std::string service_;
  v1::ServerConfig config_;
  Metrics metrics_;
  std::unique_ptr<TokenVerifier> verifier_;
  TokenFile service_token_;
  Channels channels_;
  std::vector<std::unique_ptr<void, void (*)(void*)>> owned_;
  std::vector<std::unique_ptr<BackgroundWorker>> workers_;
  std::vector<std::function<void()>> on_stop_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<MetricsServer> metrics_server_;
  bool stopped_ = false;
};

namespace internal {
/// The part of ServiceMain that does not depend on the type of the configuration.
int RunService(int argc, char** argv, std::string_view service, google::protobuf::Message* config,
               const std::function<const v1::ServerConfig&()>& server_config,
               const std::function<absl::Status()>& validate, const std::function<absl::Status(App&)>& build);
}  // namespace internal

/// Parses the command line and the environment, builds, starts, prints one line "ready", waits for SIGINT or SIGTERM,
/// stops in order. Returns the exit status: 0, 1 (failed), 2 (bad configuration).
template <typename Config, typename Build>
int ServiceMain(int argc, char** argv, std::string_view service, Config config, Build build,
                std::function<absl::Status(const Config&)> validate = nullptr) {
  return internal::RunService(
      argc, argv, service, &config, [&config]() -> const v1::ServerConfig& { return config.server(); },
      [&] { return validate ? validate(config) : absl::OkStatus(); }, [&](App& app) { return build(config, app); });
}

}  // namespace vedette::runtime
