// Calls to other services of ours: one channel each, with keepalive and retries of UNAVAILABLE; every call carries a
// deadline, an identity, the tenant and the trace.
//
//   auto stub = ingest::v1::IngestService::NewStub(*app.channels().Get("ingest"));
//   ASSIGN_OR_RETURN(auto dataset, Call(*stub, &IngestService::Stub::GetDataset, Outgoing::OnBehalfOf(call), request));
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "runtime/auth.h"
#include "runtime/call_context.h"
#include "runtime/status.h"
#include "vedette/runtime/v1/config.pb.h"

namespace vedette::runtime {

/// Channels by service name, from the configuration's `endpoints`. Thread-safe. Destroy it outside of gRPC threads.
class Channels {
 public:
  explicit Channels(const v1::ServerConfig& config);
  ~Channels();
  /// FAILED_PRECONDITION when the configuration names no endpoint for it. Does not connect yet.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Get(const std::string& service);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A channel outside of a service (CLI, tests). Plain text unless a CA file is given.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address, const v1::TlsConfig& tls = {});

/// Asks the standard health service (grpc.health.v1). OK when it answers SERVING; UNAVAILABLE says what else it answered.
/// An empty service name means the whole server.
absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
                         absl::Duration timeout);

/// As whom, for which tenant, how long: what every outgoing call needs.
struct Outgoing {
  std::string token;   ///< secret
  std::string tenant;  ///< sent as x-vedette-tenant when it is not empty; only services may name one
  std::string request_id;
  TraceContext trace;
  absl::Time deadline;
  std::stop_token stop;

  /// The caller's own identity and whatever is left of its deadline (at most `limit`).
  static Outgoing OnBehalfOf(const CallContext& call, absl::Duration limit = absl::Seconds(60));
  /// This service's own identity, for a tenant; for work that no caller waits for, or that callers may not do
  /// themselves. Fails when the token file cannot be read.
  static absl::StatusOr<Outgoing> AsService(const TokenFile& token, std::string tenant, absl::Duration timeout,
                                            std::stop_token stop = {}, std::optional<TraceContext> trace = {});
  /// The same inside a call: its trace, deadline and stop.
  static absl::StatusOr<Outgoing> AsService(const TokenFile& token, const CallContext& call,
                                            absl::Duration limit = absl::Seconds(60));
  /// With any token (CLI, tests).
  static Outgoing WithToken(std::string token, absl::Duration timeout, std::stop_token stop = {});
};

/// One call: context() for a stub's method. Cancels it when out.stop fires. Streams: stub.Method(call.context(), ...).
class ClientCall {
 public:
  explicit ClientCall(const Outgoing& out);
  ~ClientCall();
  ClientCall(const ClientCall&) = delete;
  ClientCall& operator=(const ClientCall&) = delete;
  grpc::ClientContext* context() { return &context_; }

 private:
  struct Canceller;
  grpc::ClientContext context_;
  std::unique_ptr<Canceller> canceller_;
};

/// A unary call. Blocks.
template <typename Stub, typename Owner, typename Request, typename Response>
absl::StatusOr<Response> Call(Stub& stub, grpc::Status (Owner::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Outgoing& out, const Request& request) {
  ClientCall call(out);
  Response response;
  const grpc::Status status = (stub.*method)(call.context(), request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response;
}

/// All messages of a reader (grpc::ClientReader<Response>), without Finish.
template <typename Response, template <typename> class ReaderType, typename Fn>
absl::Status ReadStream(ReaderType<Response>& reader, ClientCall& call, Fn& fn) {
  Response message;
  while (reader.Read(&message)) {
    if (absl::Status status = fn(message); !status.ok()) {
      call.context()->TryCancel();
      return status;
    }
  }
  return absl::OkStatus();
}

/// A server stream: fn(Response&) -> absl::Status for each message; the first error cancels the call and is returned.
template <typename Stub, typename Owner, typename ReaderPtr, typename Request, typename Fn>
absl::Status CallStream(Stub& stub, ReaderPtr (Owner::*method)(grpc::ClientContext*, const Request&),
                        const Outgoing& out, const Request& request, Fn fn) {
  ClientCall call(out);
  auto reader = (stub.*method)(call.context(), request);
  absl::Status failed = ReadStream(*reader, call, fn);
  const grpc::Status status = reader->Finish();
  return failed.ok() ? FromGrpcStatus(status) : failed;
}

}  // namespace vedette::runtime
