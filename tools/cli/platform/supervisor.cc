#include "cli/platform/supervisor.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/status.h"
#include "runtime/auth.h"
#include "storage/bootstrap.h"

namespace vedette::cli {
namespace {

constexpr char kDatabase[] = "vedette";
constexpr absl::Duration kTokenLife = absl::Hours(24);
constexpr absl::Duration kTokenRenewal = absl::Hours(6);
/// A service that is not SERVING by then has failed.
constexpr absl::Duration kServingPatience = absl::Seconds(60);
constexpr absl::Duration kStopPatience = absl::Seconds(15);

}  // namespace

struct Supervisor::Child {
  const ServiceInfo* info;
  std::unique_ptr<devcluster::Process> process;
  int restarts = 0;
  absl::Time started;
  absl::Time not_before = absl::InfinitePast();  ///< when it may be started again
  absl::Duration pause = absl::Milliseconds(200);
};

Supervisor::Supervisor(SupervisorOptions options) : options_(std::move(options)) {
  state_.supervisor = ::getpid();
  state_.rest = fmt::format("http://127.0.0.1:{}", options_.ports.rest);
  for (const ServiceInfo& service : Services()) {
    children_.push_back({.info = &service, .process = nullptr, .restarts = 0, .started = {}});
    const std::string name(service.name);
    state_.services.push_back({.name = name,
                               .pid = -1,
                               .address = fmt::format("127.0.0.1:{}", options_.ports.grpc.at(name)),
                               .metrics = fmt::format("http://127.0.0.1:{}/metrics", options_.ports.metrics.at(name)),
                               .restarts = 0});
  }
}

Supervisor::~Supervisor() { Stop(); }

absl::Status Supervisor::Save() {
  for (size_t i = 0; i < children_.size(); ++i) {
    state_.services[i].pid = children_[i].process == nullptr ? -1 : children_[i].process->pid();
    state_.services[i].restarts = children_[i].restarts;
  }
  return WriteState(options_.home, state_);
}

void Supervisor::Step(const std::string& step) {
  state_.phase = "starting";
  state_.step = step;
  fmt::print("{}\n", step);
  std::fflush(stdout);
  (void)Save();
}

absl::Status Supervisor::StartServers() {
  const Home& home = options_.home;
  Step("starting PostgreSQL");
  ASSIGN_OR_RETURN(const std::string superuser, home.MakeSecret("postgres"));
  ASSIGN_OR_RETURN(postgres_, devcluster::PostgresServer::Start({.data_dir = home.Postgres(), .port = options_.ports.postgres,
                                                                 .password = superuser, .log_file = home.Log("postgres")}));
  state_.postgres_port = postgres_->port();
  state_.postgres_pid = postgres_->pid();
  Step("starting NATS");
  ASSIGN_OR_RETURN(const std::string token, home.MakeSecret("nats"));
  ASSIGN_OR_RETURN(nats_, devcluster::NatsServer::Start({.data_dir = home.Nats(), .port = options_.ports.nats, .token = token,
                                                         .log_file = home.Log("nats")}));
  state_.nats_port = nats_->port();
  state_.nats_pid = nats_->pid();
  Step("preparing the database");
  std::vector<storage::ServiceCredentials> credentials;
  for (const ServiceInfo& service : Services()) {
    if (!service.database) continue;
    const std::string name(service.name);
    storage::ServiceCredentials c{.service = name, .owner_password = {}, .app_password = {}};
    ASSIGN_OR_RETURN(c.owner_password, home.MakeSecret(name + "-owner"));
    ASSIGN_OR_RETURN(c.app_password, home.MakeSecret(name + "-app"));
    credentials.push_back(std::move(c));
  }
  return storage::Bootstrap(postgres_->Conninfo(), kDatabase, credentials);
}

absl::Status Supervisor::WriteTokens() {
  const Home& home = options_.home;
  const absl::Time expires = absl::Now() + kTokenLife;
  for (const ServiceInfo& service : Services()) {
    ASSIGN_OR_RETURN(const std::string token,
                     runtime::SignToken({.subject = fmt::format("service:{}", service.name), .tenant = "", .roles = {"service"}, .expires = expires},
                                        private_key_));
    RETURN_IF_ERROR(WritePrivate(home.Secret(fmt::format("{}-token", service.name)), token));
  }
  ASSIGN_OR_RETURN(const std::string token, runtime::SignToken({.subject = "developer", .tenant = options_.tenant, .roles = {"admin"}, .expires = expires},
                                                               private_key_));
  return WritePrivate(home.Secret("developer-token"), token);
}

absl::Status Supervisor::WriteConfig(const ServiceInfo& service) {
  using Json = nlohmann::ordered_json;
  const Home& home = options_.home;
  const std::string name(service.name);
  Json server = {{"grpc", {{"host", "127.0.0.1"}, {"port", options_.ports.grpc.at(name)}}},
                 {"metrics", {{"host", "127.0.0.1"}, {"port", options_.ports.metrics.at(name)}}},
                 {"log", {{"format", "json"}}},
                 {"auth", {{"public_key_file", home.Secret("public-key.pem")}, {"service_token_file", home.Secret(name + "-token")}}},
                 {"shutdown_seconds", 5}};
  for (const ServiceInfo& other : Services()) {
    server["endpoints"][std::string(other.name)] = fmt::format("127.0.0.1:{}", options_.ports.grpc.at(std::string(other.name)));
  }
  if (service.database) {
    const storage::ServiceNames names(name);
    const std::string base = fmt::format("host=127.0.0.1 port={} dbname={}", postgres_->port(), kDatabase);
    server["postgres"] = {{"dsn", fmt::format("{} user={}", base, names.app_role)},
                          {"password_file", home.Secret(name + "-app")},
                          {"migration_dsn", fmt::format("{} user={}", base, names.owner_role)},
                          {"migration_password_file", home.Secret(name + "-owner")}};
  }
  if (service.messages) server["nats"] = {{"url", nats_->Url()}, {"token_file", home.Secret("nats")}};
  Json config = {{"server", server}};
  if (name == "ingest") config["object_store"] = {{"directory", home.Objects() + "/ingest"}};
  if (name == "model-cache") config["object_directory"] = home.Objects() + "/model-cache";
  if (name == "gateway") config["http"] = {{"host", "127.0.0.1"}, {"port", options_.ports.rest}};
  return WritePrivate(home.Config(name), config.dump(1) + "\n");
}

absl::Status Supervisor::StartService(Child& child) {
  const std::string name(child.info->name);
  const std::string program = fmt::format("{}/vedette-{}", options_.binaries, name);
  if (::access(program.c_str(), X_OK) != 0) return NotFound("{} is not there; build the services first", program);
  devcluster::ProcessOptions process;
  process.argv = {program, "--config", options_.home.Config(name)};
  if (const auto it = options_.extra_arguments.find(name); it != options_.extra_arguments.end()) {
    process.argv.insert(process.argv.end(), it->second.begin(), it->second.end());
  }
  process.log_file = options_.home.Log(name);
  ASSIGN_OR_RETURN(devcluster::Process started, devcluster::Process::Spawn(process));
  child.process = std::make_unique<devcluster::Process>(std::move(started));
  child.started = absl::Now();
  return absl::OkStatus();
}

absl::Status Supervisor::WaitUntilServing(Child& child) {
  const std::string address = fmt::format("127.0.0.1:{}", options_.ports.grpc.at(std::string(child.info->name)));
  const absl::Time deadline = absl::Now() + kServingPatience;
  while (absl::Now() < deadline) {
    if (!child.process->Running()) break;
    if (Health(address, child.info->proto_service) == "SERVING") return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string log = options_.home.Log(child.info->name);
  return Unavailable("{} {}; the end of {}:\n{}", child.info->name,
                     child.process->Running() ? "is not SERVING after a minute" : "ended at once", log, devcluster::Tail(log, 1500));
}

absl::Status Supervisor::Start() {
  RETURN_IF_ERROR(options_.home.Create());
  Step("starting");
  RETURN_IF_ERROR(StartServers());
  ASSIGN_OR_RETURN(const runtime::KeyPair keys, runtime::GenerateKeyPair());
  private_key_ = keys.private_key;
  RETURN_IF_ERROR(WritePrivate(options_.home.Secret("public-key.pem"), keys.public_key));
  RETURN_IF_ERROR(WriteTokens());
  Step("starting the services");
  for (Child& child : children_) {
    RETURN_IF_ERROR(WriteConfig(*child.info));
    RETURN_IF_ERROR(StartService(child));
  }
  for (Child& child : children_) {
    Step(fmt::format("waiting for {}", child.info->name));
    RETURN_IF_ERROR(WaitUntilServing(child));
  }
  state_.phase = "ready";
  state_.step.clear();
  return Save();
}

/// A service that died starts again, at once the first time and then after growing pauses while it keeps dying.
void Supervisor::Revive(Child& child) {
  if (child.process->Running()) return;
  const absl::Time now = absl::Now();
  if (child.not_before == absl::InfinitePast()) {
    const bool lived = now - child.started > absl::Seconds(30);
    child.pause = lived ? absl::Milliseconds(200) : std::min(child.pause * 2, absl::Seconds(10));
    child.not_before = now + (lived || child.restarts == 0 ? absl::ZeroDuration() : child.pause);
  }
  if (now < child.not_before) return;
  ++child.restarts;
  child.not_before = absl::InfinitePast();
  fmt::print("{} ended; starting it again ({})\n", child.info->name, child.restarts);
  std::fflush(stdout);
  if (const absl::Status status = StartService(child); !status.ok()) fmt::print("{}\n", Message(status));
  (void)Save();
}

void Supervisor::ReviveServers() {
  const auto revive = [this](auto& server, std::string_view name, pid_t* pid) {
    if (server.Running()) return;
    fmt::print("{} ended; starting it again\n", name);
    std::fflush(stdout);
    if (const absl::Status status = server.Restart(); !status.ok()) fmt::print("{}\n", Message(status));
    *pid = server.pid();
    (void)Save();
  };
  revive(*postgres_, "PostgreSQL", &state_.postgres_pid);
  revive(*nats_, "NATS", &state_.nats_pid);
}

void Supervisor::Run() {
  absl::Time renew = absl::Now() + kTokenRenewal;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  for (;;) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};
    if (::sigtimedwait(&signals, nullptr, &pause) > 0) return;
    for (Child& child : children_) Revive(child);
    ReviveServers();
    if (absl::Now() > renew) {
      renew = absl::Now() + kTokenRenewal;
      (void)WriteTokens();
    }
  }
}

void Supervisor::Stop() {
  if (state_.phase == "failed" || state_.phase == "ready" || state_.phase == "starting") {
    state_.phase = "stopping";
    (void)Save();
  }
  // All are asked first, then each is waited for; the last started goes first.
  for (Child& child : children_) {
    if (child.process != nullptr && child.process->Running()) ::kill(child.process->pid(), SIGTERM);
  }
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if (child->process != nullptr) (void)child->process->Stop(SIGTERM, kStopPatience);
    child->process = nullptr;
  }
  nats_.reset();
  postgres_.reset();
}

}  // namespace vedette::cli
