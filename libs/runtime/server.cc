#include "runtime/server.h"

#include <absl/time/clock.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <mutex>

#include "base/status.h"
#include "base/thread_pool.h"
#include "runtime/log.h"
#include "runtime/server_internal.h"
#include "runtime/watched_file.h"
#include "vedette/common/v1/options.pb.h"

namespace vedette::runtime {
namespace {

constexpr absl::Duration kReadinessInterval = absl::Seconds(1);
constexpr absl::Duration kGoAway = absl::Milliseconds(100);

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const v1::TlsConfig& tls) {
  if (tls.cert_file().empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options;
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  ASSIGN_OR_RETURN(pair.cert_chain, ReadSmallFile(tls.cert_file()));
  ASSIGN_OR_RETURN(pair.private_key, ReadSmallFile(tls.key_file()));
  options.pem_key_cert_pairs.push_back(std::move(pair));
  if (!tls.ca_file().empty()) {
    ASSIGN_OR_RETURN(options.pem_root_certs, ReadSmallFile(tls.ca_file()));
    options.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return grpc::SslServerCredentials(options);
}

void ConfigureBuilder(const v1::GrpcConfig& config, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(config.max_receive_mb()) << 20);
  builder->SetMaxSendMessageSize(-1);  // the receiver sets the limit
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(config.max_concurrent_streams()));
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a port in use must be an error
  // A dead peer is noticed within half a minute; clients may ping every 10 s, also without calls.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 3);
}

std::string TypeName(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? "bidi_stream" : "client_stream";
  return method.server_streaming() ? "server_stream" : "unary";
}

std::string Address(const std::string& host, uint32_t port) {
  const bool ipv6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

/// Asks every check; logs what changed.
bool CheckReadiness(Server::State& state, std::map<std::string, std::string>* failing) {
  std::map<std::string, std::string> now;
  for (const auto& [name, check] : state.readiness) {
    if (const absl::Status status = check(); !status.ok()) now[name] = Message(status);
  }
  for (const auto& [name, why] : now) {
    if (!failing->contains(name)) LogWarning("not ready", {{"dependency", name}, {"error", why}});
  }
  for (const auto& [name, why] : *failing) {
    if (!now.contains(name)) LogInfo("ready again", {{"dependency", name}});
  }
  *failing = std::move(now);
  return failing->empty();
}

}  // namespace

Server::Server(v1::ServerConfig config, const TokenVerifier& verifier, Metrics& metrics)
    : state_(std::make_shared<State>(std::move(config), verifier, metrics)) {
  const v1::GrpcConfig& grpc = state_->config.grpc();
  const int threads =
      grpc.worker_threads() > 0 ? static_cast<int>(grpc.worker_threads()) : std::max(8, 2 * AvailableCpus());
  state_->unary_pool = std::make_unique<WorkPool>(threads, static_cast<int>(grpc.max_queued_calls()));
  state_->stream_pool = std::make_unique<WorkPool>(static_cast<int>(grpc.max_streams()), 0);
  auto& queued = metrics.Gauge("grpc_server_queued_calls", "Unary calls that wait for a thread");
  auto& unary = metrics.Gauge("grpc_server_busy_threads", "Threads that run handlers", {{"pool", "unary"}});
  auto& streams = metrics.Gauge("grpc_server_busy_threads", "Threads that run handlers", {{"pool", "stream"}});
  metrics.BeforeScrape([weak = std::weak_ptr<State>(state_), &queued, &unary, &streams] {
    const std::shared_ptr<State> s = weak.lock();
    if (!s) return;
    queued.Set(static_cast<double>(s->unary_pool->queued()));
    unary.Set(static_cast<double>(s->unary_pool->busy()));
    streams.Set(static_cast<double>(s->stream_pool->busy()));
  });
}

Server::~Server() { Stop(); }

void Server::Add(std::string_view full_name, std::unique_ptr<grpc::Service> service) {
  State& s = *state_;
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  const auto* descriptor = pool->FindServiceByName(std::string(full_name));
  if (descriptor == nullptr) {
    s.mistakes.push_back(fmt::format("service {} has no descriptor in this program", full_name));
    return;
  }
  for (int i = 0; i < descriptor->method_count(); ++i) {
    const google::protobuf::MethodDescriptor& m = *descriptor->method(i);
    Method method{.service = descriptor->full_name(),
                  .name = m.name(),
                  .full_name = fmt::format("{}/{}", descriptor->full_name(), m.name()),
                  .permission = m.options().GetExtension(common::v1::permission),
                  .type = TypeName(m)};
    if (method.permission.empty()) {
      s.mistakes.push_back(fmt::format("{} has no permission option (vedette.common.v1.permission)", method.full_name));
    } else if (const absl::Status status = CheckPermissionName(method.permission); !status.ok()) {
      s.mistakes.push_back(fmt::format("{}: {}", method.full_name, Message(status)));
    }
    const MetricLabels labels = {
        {"grpc_type", method.type}, {"grpc_service", method.service}, {"grpc_method", method.name}};
    method.started = &s.metrics.Counter("grpc_server_started_total", "RPCs started", labels);
    method.seconds = &s.metrics.Histogram("grpc_server_handling_seconds", "Time from the start of an RPC to its status",
                                          Metrics::LatencyBounds(), labels);
    const auto [it, fresh] = s.methods.try_emplace({m.input_type(), m.output_type()}, std::move(method));
    if (!fresh) {
      s.mistakes.push_back(fmt::format("{}/{} and {} share both message types; a method is recognised by them",
                                       descriptor->full_name(), m.name(), it->second.full_name));
    }
  }
  s.services.emplace_back(full_name, std::move(service));
}

void Server::AddReadiness(std::string name, std::function<absl::Status()> check) {
  state_->readiness.emplace_back(std::move(name), std::move(check));
}

void Server::SetRequestCheck(std::function<absl::Status(const google::protobuf::Message&)> check) {
  state_->request_check = std::move(check);
}

absl::Status Server::Start() {
  State& s = *state_;
  if (!s.mistakes.empty()) return FailedPrecondition("the server cannot start: {}", fmt::join(s.mistakes, "; "));
  grpc::EnableDefaultHealthCheckService(true);
  if (s.config.grpc().reflection()) {
    static std::once_flag once;  // a plugin of every later builder of this process
    std::call_once(once, [] { grpc::reflection::InitProtoReflectionServerBuilderPlugin(); });
  }
  std::map<std::string, std::string> failing;
  const bool ready = CheckReadiness(s, &failing);

  grpc::ServerBuilder builder;
  ConfigureBuilder(s.config.grpc(), &builder);
  ASSIGN_OR_RETURN(const auto credentials, ServerCredentials(s.config.grpc().tls()));
  const std::string address = Address(s.config.grpc().host(), s.config.grpc().port());
  builder.AddListeningPort(address, credentials, &s.port);
  for (const auto& [name, service] : s.services) builder.RegisterService(service.get());
  s.server = builder.BuildAndStart();
  if (s.server == nullptr || s.port == 0) {
    s.server = nullptr;
    return Unavailable("cannot listen on {}; is the port in use?", address);
  }

  const auto publish = [&s](bool serving) {
    s.serving = serving;
    grpc::HealthCheckServiceInterface* health = s.server->GetHealthCheckService();
    for (const auto& [name, service] : s.services) health->SetServingStatus(name, serving);
    health->SetServingStatus(serving);
  };
  publish(ready);
  s.readiness_thread = std::jthread([&s, publish, failing](const std::stop_token& stop) mutable {
    while (WaitFor(kReadinessInterval, stop)) {
      const bool now = CheckReadiness(s, &failing);
      if (now != s.serving && !stop.stop_requested()) publish(now);
    }
  });
  return absl::OkStatus();
}

int Server::port() const { return state_->port; }
bool Server::serving() const { return state_->serving; }

void Server::SetNotServing() {
  State& s = *state_;
  if (s.server == nullptr) return;
  if (s.readiness_thread.joinable()) {
    s.readiness_thread.request_stop();
    s.readiness_thread.join();
  }
  s.serving = false;
  s.server->GetHealthCheckService()->Shutdown();  // NOT_SERVING for good
}

void Server::Stop() {
  State& s = *state_;
  if (s.stopped) return;
  s.stopped = true;
  SetNotServing();
  s.drain.request_stop();
  {
    std::unique_lock lock(s.calls_mutex);
    s.draining = true;
    s.calls_changed.wait_for(lock, std::chrono::seconds(s.config.shutdown_seconds()),
                             [&s] { return s.open_calls == 0; });
  }
  if (s.server != nullptr) {
    // gRPC's own graceful shutdown also waits for idle connections to close, which clients without a polling thread do
    // only seconds later. The calls are over by now, so a moment for the GOAWAY is enough; what is left is cancelled.
    s.server->Shutdown(absl::ToChronoTime(absl::Now() + kGoAway));
    s.server->Wait();
  }
  s.unary_pool.reset();
  s.stream_pool.reset();
}

}  // namespace vedette::runtime
