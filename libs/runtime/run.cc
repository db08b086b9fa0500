#include "runtime/run.h"

#include <absl/time/clock.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "base/status.h"
#include "runtime/log.h"

namespace vedette::runtime {
namespace {

/// Time that the process has to end after shutdown_seconds, before it is ended by force.
constexpr absl::Duration kGrace = absl::Seconds(10);

void Print(FILE* to, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

void ConfigureLog(std::string_view service, const v1::LogConfig& config) {
  const Severity severity = config.level() == "debug"     ? Severity::kDebug
                            : config.level() == "warning" ? Severity::kWarning
                            : config.level() == "error"   ? Severity::kError
                                                          : Severity::kInfo;
  const bool text = config.format() == "text" || (config.format() == "auto" && ::isatty(STDERR_FILENO) == 1);
  InitLog(service, severity, text ? LogFormat::kText : LogFormat::kJson);
  gpr_set_log_function([](gpr_log_func_args* args) {  // gRPC's own complaints, as lines of ours
    if (args->severity == GPR_LOG_SEVERITY_ERROR) LogWarning("grpc", {{"error", std::string_view(args->message)}});
  });
}

}  // namespace

App::App(std::string service, v1::ServerConfig config, std::unique_ptr<TokenVerifier> verifier)
    : service_(std::move(service)),
      config_(std::move(config)),
      metrics_(service_),
      verifier_(std::move(verifier)),
      service_token_(config_.auth().service_token_file()),
      channels_(config_),
      server_(std::make_unique<Server>(config_, *verifier_, metrics_)) {}

absl::StatusOr<std::unique_ptr<App>> App::Create(std::string service, const v1::ServerConfig& config) {
  RETURN_IF_ERROR(ValidateServerConfig(config));
  ASSIGN_OR_RETURN(auto verifier, TokenVerifier::Create({.public_key_file = config.auth().public_key_file(),
                                                         .issuer = config.auth().issuer(),
                                                         .audience = config.auth().audience()}));
  return std::unique_ptr<App>(new App(std::move(service), config, std::move(verifier)));
}

App::~App() {
  Stop();
  workers_.clear();
  server_.reset();  // with it the RPC adapters, which use what is owned
  while (!owned_.empty()) owned_.pop_back();
}

BackgroundWorker* App::AddWorker(std::string name, BackgroundWorker::Round round, BackgroundOptions options) {
  workers_.push_back(std::make_unique<BackgroundWorker>(std::move(name), std::move(round), metrics_, options));
  return workers_.back().get();
}

void App::OnStop(std::function<void()> fn) { on_stop_.push_back(std::move(fn)); }

absl::Status App::Start() {
  if (!config_.metrics().disabled()) {
    ASSIGN_OR_RETURN(metrics_server_, MetricsServer::Start(metrics_, config_.metrics().host(),
                                                           static_cast<int>(config_.metrics().port())));
  }
  RETURN_IF_ERROR(server_->Start());
  for (const auto& worker : workers_) worker->Start();
  return absl::OkStatus();
}

int App::metrics_port() const { return metrics_server_ == nullptr ? 0 : metrics_server_->port(); }

void App::Stop() {
  if (stopped_) return;
  stopped_ = true;
  for (const auto& fn : on_stop_) fn();
  server_->SetNotServing();
  if (server_->port() != 0 && config_.drain_seconds() > 0) absl::SleepFor(absl::Seconds(config_.drain_seconds()));
  for (const auto& worker : workers_) worker->RequestStop();
  server_->Stop();
  for (const auto& worker : workers_) worker->Join();
  metrics_server_.reset();
}

namespace internal {

int RunService(int argc, char** argv, std::string_view service, google::protobuf::Message* config,
               const std::function<const v1::ServerConfig&()>& server_config,
               const std::function<absl::Status()>& validate, const std::function<absl::Status(App&)>& build) {
  const auto fail = [&](int code, const absl::Status& status) {
    Print(stderr, fmt::format("vedette-{}: {}\n", service, Message(status)));
    return code;
  };
  const std::string help = ConfigHelp(service, *config);
  const std::span<const char* const> args(argv + 1, static_cast<size_t>(std::max(0, argc - 1)));
  const absl::StatusOr<ConfigAction> action = LoadConfig(service, args, Environment(), config);
  if (!action.ok()) return fail(2, action.status());
  if (*action == ConfigAction::kHelp) return Print(stdout, help), 0;
  if (*action == ConfigAction::kPrint) return Print(stdout, PrintConfig(*config)), 0;
  absl::Status valid = ValidateServerConfig(server_config());
  if (valid.ok()) valid = validate();
  if (!valid.ok()) return fail(2, valid);
  if (*action == ConfigAction::kCheck) return Print(stdout, "configuration ok\n"), 0;

  // Blocked before any thread exists, so that every thread inherits it and only sigwait below sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ConfigureLog(service, server_config().log());

  absl::StatusOr<std::unique_ptr<App>> app = App::Create(std::string(service), server_config());
  if (!app.ok()) return fail(1, app.status());
  absl::Status started = build(**app);
  if (started.ok()) started = (*app)->Start();
  if (!started.ok()) {
    LogError("cannot start", {{"error", Message(started)}});
    return 1;
  }
  LogInfo("ready", {{"port", (*app)->server().port()}, {"metrics_port", (*app)->metrics_port()}});
  Print(stdout, fmt::format("vedette-{} ready on {}:{}\n", service, server_config().grpc().host(), (*app)->server().port()));

  int received = 0;
  sigwait(&signals, &received);
  LogInfo("stopping", {{"signal", received}});
  const absl::Duration patience =
      absl::Seconds(server_config().drain_seconds() + server_config().shutdown_seconds()) + kGrace;
  std::thread([patience] {
    absl::SleepFor(patience);
    LogError("the shutdown did not end in time; leaving by force");
    ::_exit(1);
  }).detach();
  (*app)->Stop();
  app->reset();
  LogInfo("stopped");
  return 0;
}

}  // namespace internal
}  // namespace vedette::runtime
