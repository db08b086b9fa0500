#include "runtime/client.h"

#include <absl/time/clock.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "base/ids.h"
#include "base/status.h"
#include "runtime/watched_file.h"

namespace vedette::runtime {
namespace {

/// UNAVAILABLE only: the server then did not run the call, or says that it may be repeated. gRPC stops retrying as soon
/// as a stream's first message arrived, and when one retry in ten calls already happens (throttling).
constexpr char kServiceConfig[] = R"({
  "methodConfig": [{
    "name": [{}],
    "retryPolicy": {
      "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }],
  "retryThrottling": { "maxTokens": 100, "tokenRatio": 0.1 }
})";

constexpr int kMaxReceiveBytes = 64 << 20;

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientCredentials(const v1::TlsConfig& tls) {
  if (tls.ca_file().empty() && tls.cert_file().empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!tls.ca_file().empty()) {
    ASSIGN_OR_RETURN(options.pem_root_certs, ReadSmallFile(tls.ca_file()));
  }
  if (!tls.cert_file().empty()) {
    ASSIGN_OR_RETURN(options.pem_cert_chain, ReadSmallFile(tls.cert_file()));
    ASSIGN_OR_RETURN(options.pem_private_key, ReadSmallFile(tls.key_file()));
  }
  return grpc::SslCredentials(options);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address, const v1::TlsConfig& tls) {
  ASSIGN_OR_RETURN(const auto credentials, ClientCredentials(tls));
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 1);
  args.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  args.SetMaxSendMessageSize(-1);
  args.SetServiceConfigJSON(kServiceConfig);
  args.SetLoadBalancingPolicyName("round_robin");  // a DNS name of several pods spreads the calls
  return grpc::CreateCustomChannel(address, credentials, args);
}

absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
                         absl::Duration timeout) {
  // HealthCheckRequest{string service = 1}, HealthCheckResponse{ServingStatus status = 1}. Debian's gRPC ships the
  // server's side of this protocol but not its proto, and these two fields are all there is to it.
  if (service.size() > 127) return InvalidArgument("the service's name is too long");
  std::string request;
  if (!service.empty()) request = std::string("\x0a") + static_cast<char>(service.size()) + service;
  const grpc::Slice slice(request);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);  // ends at the deadline at the latest
  if (!status.ok()) return FromGrpcStatus(status);
  grpc::Slice answer;
  if (!response.DumpToSingleSlice(&answer).ok()) return Unavailable("unreadable health answer");
  constexpr std::string_view kServing = "\x08\x01";
  if (std::string_view(reinterpret_cast<const char*>(answer.begin()), answer.size()) == kServing) {
    return absl::OkStatus();
  }
  return Unavailable("not serving");
}

struct Channels::State {
  std::map<std::string, std::string> endpoints;
  v1::TlsConfig tls;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels;
};

Channels::Channels(const v1::ServerConfig& config) : state_(std::make_unique<State>()) {
  state_->endpoints = {config.endpoints().begin(), config.endpoints().end()};
  state_->tls = config.client_tls();
}

Channels::~Channels() = default;

absl::StatusOr<std::shared_ptr<grpc::Channel>> Channels::Get(const std::string& service) {
  const std::lock_guard lock(state_->mutex);
  std::shared_ptr<grpc::Channel>& channel = state_->channels[service];
  if (channel == nullptr) {
    const auto it = state_->endpoints.find(service);
    if (it == state_->endpoints.end()) {
      return FailedPrecondition("endpoints.{} is not set: where does {} answer?", service, service);
    }
    ASSIGN_OR_RETURN(channel, MakeChannel(it->second, state_->tls));
  }
  return channel;
}

Outgoing Outgoing::OnBehalfOf(const CallContext& call, absl::Duration limit) {
  Outgoing out;
  out.token = call.token;
  if (call.identity.is_service() && call.identity.tenant.empty()) out.tenant = call.tenant;
  out.request_id = call.request_id;
  out.trace = call.trace.Child();
  out.deadline = std::min(call.deadline, absl::Now() + limit);
  out.stop = call.stop;
  return out;
}

absl::StatusOr<Outgoing> Outgoing::AsService(const TokenFile& token, std::string tenant, absl::Duration timeout,
                                             std::stop_token stop, std::optional<TraceContext> trace) {
  Outgoing out;
  ASSIGN_OR_RETURN(out.token, token.Get());
  out.tenant = std::move(tenant);
  out.request_id = NewUuid();
  out.trace = trace ? trace->Child() : TraceContext::New();
  out.deadline = absl::Now() + timeout;
  out.stop = std::move(stop);
  return out;
}

absl::StatusOr<Outgoing> Outgoing::AsService(const TokenFile& token, const CallContext& call, absl::Duration limit) {
  Outgoing out = OnBehalfOf(call, limit);
  ASSIGN_OR_RETURN(out.token, token.Get());
  out.tenant = call.tenant;
  return out;
}

Outgoing Outgoing::WithToken(std::string token, absl::Duration timeout, std::stop_token stop) {
  Outgoing out;
  out.token = std::move(token);
  out.request_id = NewUuid();
  out.trace = TraceContext::New();
  out.deadline = absl::Now() + timeout;
  out.stop = std::move(stop);
  return out;
}

struct ClientCall::Canceller {
  struct Cancel {
    grpc::ClientContext* context;
    void operator()() const { context->TryCancel(); }
  };
  std::stop_callback<Cancel> callback;
  Canceller(const std::stop_token& stop, grpc::ClientContext* context) : callback(stop, Cancel{context}) {}
};

ClientCall::ClientCall(const Outgoing& out) {
  context_.set_deadline(absl::ToChronoTime(out.deadline));
  if (!out.token.empty()) context_.AddMetadata("authorization", "Bearer " + out.token);
  if (!out.tenant.empty()) context_.AddMetadata("x-vedette-tenant", out.tenant);
  if (!out.request_id.empty()) context_.AddMetadata("x-request-id", out.request_id);
  if (!out.trace.trace_id.empty()) context_.AddMetadata("traceparent", out.trace.ToString());
  canceller_ = std::make_unique<Canceller>(out.stop, &context_);
}

ClientCall::~ClientCall() = default;

}  // namespace vedette::runtime
