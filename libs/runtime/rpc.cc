#include "runtime/rpc.h"

#include <absl/time/clock.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <exception>

#include "base/ids.h"
#include "base/status.h"
#include "runtime/log.h"
#include "runtime/server_internal.h"
#include "runtime/status.h"

namespace vedette::runtime::internal {
namespace {

constexpr size_t kMaxRequestId = 64;
constexpr size_t kMaxTenant = 200;

std::string_view Metadata(const grpc::CallbackServerContext& context, const char* key) {
  const auto it = context.client_metadata().find(key);
  return it == context.client_metadata().end() ? std::string_view() : std::string_view(it->second.data(), it->second.size());
}

/// Ids of callers go into logs and headers: letters, digits, dot, dash, underscore only.
bool IsPlainId(std::string_view text, size_t limit) {
  return !text.empty() && text.size() <= limit && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
}

std::string_view BearerToken(const grpc::CallbackServerContext& context) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view header = Metadata(context, "authorization");
  if (header.size() <= kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(header[i])) != kScheme[i]) return {};
  }
  return header.substr(kScheme.size());
}

/// The token's tenant, or the one that a service names.
absl::Status ChooseTenant(const grpc::CallbackServerContext& grpc_context, std::string_view permission,
                          CallContext* call) {
  const std::string_view named = Metadata(grpc_context, "x-vedette-tenant");
  call->tenant = call->identity.tenant;
  if (!named.empty() && named != call->identity.tenant) {
    if (!call->identity.is_service() || !call->identity.tenant.empty()) {
      return WithReason(absl::PermissionDeniedError("the token belongs to another tenant"), "WRONG_TENANT");
    }
    if (!IsPlainId(named, kMaxTenant)) return InvalidField("x-vedette-tenant", "not the id of a tenant");
    call->tenant = named;
  }
  if (call->tenant.empty() && !IsAboveTenants(permission)) {
    return WithReason(absl::PermissionDeniedError(call->identity.is_service()
                                                      ? "name the tenant in the metadata x-vedette-tenant"
                                                      : "the token names no tenant"),
                      "TENANT_MISSING");
  }
  return absl::OkStatus();
}

absl::Status Admit(const grpc::CallbackServerContext& grpc_context, CallState* state) {
  if (state->refused) {
    return WithReason(absl::UnavailableError("the server is shutting down; try again"), "SHUTTING_DOWN");
  }
  const Method& method = *state->method;
  if (method.permission == kPublicPermission) return absl::OkStatus();
  const std::string_view token = BearerToken(grpc_context);
  ASSIGN_OR_RETURN(state->context.identity, state->server.verifier.Verify(token));
  state->context.token = token;
  RETURN_IF_ERROR(Authorize(state->context.identity, method.permission));
  return ChooseTenant(grpc_context, method.permission, &state->context);
}

/// Unary calls always get a deadline. The client's own one is watched by gRPC, which cancels the call; ours by an alarm.
void SetDeadline(const grpc::CallbackServerContext& grpc_context, const std::shared_ptr<CallState>& state) {
  CallContext& call = state->context;
  const bool given = grpc_context.raw_deadline().tv_sec < gpr_inf_future(GPR_CLOCK_REALTIME).tv_sec;
  if (given) call.deadline = absl::FromChrono(grpc_context.deadline());
  if (state->streaming) return;
  const v1::GrpcConfig& config = state->server.config.grpc();
  const absl::Duration limit =
      absl::Seconds(given ? config.max_deadline_seconds() : config.default_deadline_seconds());
  if (call.deadline <= state->started + limit) return;
  call.deadline = state->started + limit;
  state->alarm.Set(absl::ToChronoTime(call.deadline), [weak = std::weak_ptr<CallState>(state)](bool fired) {
    const std::shared_ptr<CallState> alive = fired ? weak.lock() : nullptr;
    if (alive) alive->stop.request_stop();
  });
}

absl::Status Invoke(CallState& state, const google::protobuf::Message* request, const Work& work) {
  RETURN_IF_ERROR(state.context.Check());
  const LogScope scope(state.context.trace.trace_id, state.context.request_id, state.context.tenant);
  try {
    if (state.server.request_check && request != nullptr) RETURN_IF_ERROR(state.server.request_check(*request));
    return work(state.context);
  } catch (const std::exception& e) {
    return Internal("stray exception in {}: {}", state.context.method, e.what());
  } catch (...) {
    return Internal("stray exception in {}", state.context.method);
  }
}

/// Counts and logs the call, and gives what the caller is told.
grpc::Status Complete(CallState& state, const absl::Status& status) {
  const LogScope scope(state.context.trace.trace_id, state.context.request_id, state.context.tenant);
  grpc::Status out = ToGrpcStatus(status);
  if (state.method == nullptr) return out;
  const double seconds = absl::ToDoubleSeconds(absl::Now() - state.started);
  const std::string code = absl::StatusCodeToString(status.code());
  state.server.Handled(*state.method, code).Increment();
  state.method->seconds->Observe(seconds);
  const Severity severity = status.ok() || status.code() == absl::StatusCode::kCancelled ? Severity::kInfo
                                                                                         : Severity::kWarning;
  if (!LogEnabled(severity)) return out;
  if (status.ok()) {
    Log(severity, "call", {{"method", state.context.method}, {"code", code}, {"seconds", seconds},
                           {"subject", state.context.identity.subject}});
  } else {  // the text as the caller sees it: what is internal was logged with its id already
    Log(severity, "call", {{"method", state.context.method}, {"code", code}, {"seconds", seconds},
                           {"subject", state.context.identity.subject}, {"error", out.error_message()}});
  }
  return out;
}

}  // namespace

std::shared_ptr<CallState> Begin(Server& server, grpc::CallbackServerContext* grpc_context,
                                 const google::protobuf::Descriptor* request,
                                 const google::protobuf::Descriptor* response, bool streaming) {
  auto state = std::make_shared<CallState>(server.state());
  state->started = absl::Now();
  state->streaming = streaming;
  CallContext& call = state->context;
  call.stop = state->stop.get_token();
  call.drain = server.state().drain.get_token();
  const std::string_view request_id = Metadata(*grpc_context, "x-request-id");
  call.request_id = IsPlainId(request_id, kMaxRequestId) ? std::string(request_id) : NewUuid();
  const std::optional<TraceContext> trace = TraceContext::Parse(Metadata(*grpc_context, "traceparent"));
  call.trace = trace ? trace->Child() : TraceContext::New();
  grpc_context->AddInitialMetadata("x-request-id", call.request_id);
  state->method = server.state().Find(request, response);
  if (state->method == nullptr) {
    // Start() saw every method of every service, so this handler belongs to a service that was not added here.
    state->admission = Internal("no method known from {} to {}", request->full_name(), response->full_name());
    return state;
  }
  call.method = state->method->full_name;
  state->method->started->Increment();
  state->admission = Admit(*grpc_context, state.get());
  if (state->admission.ok()) SetDeadline(*grpc_context, state);
  return state;
}

void Launch(const std::shared_ptr<CallState>& state, const google::protobuf::Message* request, Work work,
            std::function<void(grpc::Status)> finish) {
  if (!state->admission.ok()) return finish(Complete(*state, state->admission));
  WorkPool& pool = state->streaming ? *state->server.stream_pool : *state->server.unary_pool;
  const bool taken = pool.TrySubmit([state, request, work = std::move(work), finish]() mutable {
    const absl::Status status = Invoke(*state, request, work);
    work = nullptr;  // what the handler captured goes before the caller hears of the end
    state->alarm.Cancel();
    finish(Complete(*state, status));  // nothing of the call may be touched after this
  });
  if (!taken) {
    finish(Complete(*state, WithReason(absl::ResourceExhaustedError("too many calls at once; try again"), "OVERLOADED")));
  }
}

void Cancel(CallState& state) { state.stop.request_stop(); }

}  // namespace vedette::runtime::internal
