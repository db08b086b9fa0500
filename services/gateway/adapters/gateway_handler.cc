#include "services/gateway/adapters/gateway_handler.h"

#include <absl/time/clock.h>

#include <algorithm>

#include "base/status.h"
#include "runtime/log.h"
#include "runtime/permissions.h"
#include "runtime/status.h"
#include "services/gateway/adapters/error_response.h"
#include "services/gateway/adapters/event_stream.h"
#include "services/gateway/adapters/openapi.h"
#include "services/gateway/adapters/static_files.h"
#include "services/gateway/adapters/upload.h"

namespace vedette::gateway {
namespace {

constexpr std::string_view kUploadPermission = "datasets.write";
constexpr int kUploadRoute = -2;
constexpr char kApiPolicy[] = "default-src 'none'; frame-ancestors 'none'";
constexpr char kPagePolicy[] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
constexpr char kFilePolicy[] =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'self'";

void SetHeaderOnce(httplib::Response& response, const char* name, const std::string& value) {
  if (!response.has_header(name)) response.set_header(name, value);
}

/// application/json, application/problem+json..., or nothing.
bool IsJson(const httplib::Request& request) {
  std::string type = request.get_header_value("Content-Type");
  type = type.substr(0, type.find(';'));
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type.empty() || type == "application/json" || (type.starts_with("application/") && type.ends_with("+json"));
}

/// The encodings that httplib takes off a body.
bool IsKnownEncoding(const httplib::Request& request) {
  const std::string encoding = request.get_header_value("Content-Encoding");
  return encoding.empty() || encoding == "identity" || encoding == "gzip" || encoding == "deflate" || encoding == "br";
}

}  // namespace

GatewayHandler::GatewayHandler(const v1::HttpConfig& config, runtime::App& app, std::unique_ptr<Api> api)
    : config_(config),
      origins_(config.cors_origins().begin(), config.cors_origins().end()),
      app_(app),
      api_(std::move(api)),
      transcoder_(*api_),
      backend_(app.channels()),
      openapi_(OpenApiDocument(*api_, VEDETTE_VERSION)),
      landing_(LandingPage(*api_, VEDETTE_VERSION)),
      upload_bytes_(app.metrics().Counter("http_upload_bytes_total", "Bytes of files that came in through uploads")) {}

absl::StatusOr<std::unique_ptr<GatewayHandler>> GatewayHandler::Create(const v1::HttpConfig& config, runtime::App& app,
                                                                       std::unique_ptr<Api> api) {
  std::unique_ptr<GatewayHandler> out(new GatewayHandler(config, app, std::move(api)));
  std::vector<std::string> mistakes;
  const auto add = [&](std::string_view method, PathTemplate path, int route) {
    if (absl::Status status = out->routes_.Add(method, std::move(path), route); !status.ok())
      mistakes.emplace_back(Message(status));
  };
  ASSIGN_OR_RETURN(PathTemplate upload, PathTemplate::Parse(kUploadPath));
  add("POST", std::move(upload), kUploadRoute);
  const std::vector<Binding>& bindings = out->api_->bindings();
  for (size_t i = 0; i < bindings.size(); ++i) add(bindings[i].http_method, bindings[i].path, static_cast<int>(i));
  for (const std::string& service : out->api_->services()) {
    if (!app.config().endpoints().contains(service))
      mistakes.push_back(fmt::format("server.endpoints must name \"{}\"", service));
  }
  if (!mistakes.empty()) return FailedPrecondition("{}", fmt::join(mistakes, "; "));
  return out;
}

bool GatewayHandler::IsOrigin(const httplib::Request& request) const {
  return origins_.contains(request.get_header_value("Origin"));
}

/// What needs no token. True: answered.
bool GatewayHandler::Open(const httplib::Request& request, std::string_view path, httplib::Response& response,
                          Exchange& exchange) {
  if (path != "/" && path != "/healthz" && path != "/readyz" && path != "/openapi.json") return false;
  exchange.route = path;
  if (request.method != "GET" && request.method != "HEAD") {
    SetError(response, absl::UnimplementedError("this path answers GET only"), 405);
    response.set_header("Allow", "GET, HEAD");
    return true;
  }
  return OpenPage(path, request, response, exchange);
}

bool GatewayHandler::OpenPage(std::string_view path, const httplib::Request& request, httplib::Response& response,
                              Exchange& exchange) {
  response.status = 200;
  if (path == "/openapi.json") {
    response.set_header("Cache-Control", "no-cache");
    response.set_content(openapi_, "application/json");
  } else if (path == "/") {
    if (!config_.static_directory().empty() && ServeFile(config_.static_directory(), "", request, response)) {
      response.set_header("Content-Security-Policy", kFilePolicy);
    } else {
      response.set_header("Content-Security-Policy", kPagePolicy);
      response.set_content(landing_, "text/html; charset=utf-8");
    }
  } else {
    exchange.quiet = true;
    const bool good = path == "/healthz" || (app_.server().serving() && !exchange.drain.stop_requested());
    response.status = good ? 200 : 503;
    response.set_content(good ? R"({"status":"SERVING"})" : R"({"status":"NOT_SERVING"})", "application/json");
  }
  return true;
}

/// OPTIONS: what a browser may do (WHATWG Fetch, "CORS-preflight request"), or what methods there are.
void GatewayHandler::Preflight(const httplib::Request& request, const RouteMatch& match,
                               httplib::Response& response) const {
  std::vector<std::string> methods = match.allowed;
  if (std::find(methods.begin(), methods.end(), "GET") != methods.end()) methods.emplace_back("HEAD");
  methods.emplace_back("OPTIONS");
  response.status = 204;
  response.set_header("Allow", fmt::format("{}", fmt::join(methods, ", ")));
  if (!IsOrigin(request)) return;
  response.set_header("Access-Control-Allow-Methods", fmt::format("{}", fmt::join(methods, ", ")));
  response.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id, Traceparent");
  response.set_header("Access-Control-Max-Age", "600");
}

absl::Status GatewayHandler::Authenticate(const httplib::Request& request, std::string_view permission,
                                          Exchange& exchange, std::string* token) const {
  constexpr std::string_view kScheme = "bearer ";
  const std::string header = request.get_header_value("Authorization");
  std::string scheme = header.substr(0, kScheme.size());
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  if (scheme != kScheme || request.get_header_value_count("Authorization") != 1) {
    return runtime::WithReason(absl::UnauthenticatedError("send a token: Authorization: Bearer TOKEN"),
                               "TOKEN_MISSING");
  }
  *token = header.substr(kScheme.size());
  ASSIGN_OR_RETURN(const runtime::Identity identity, app_.verifier().Verify(*token));
  exchange.tenant = identity.tenant;
  return runtime::Authorize(identity, permission);
}

/// Everything before the body. False: answered.
bool GatewayHandler::Prepare(const httplib::Request& request, httplib::Response& response, Exchange& exchange,
                             Plan* plan) {
  const auto refuse = [&](const absl::Status& status, int http_status = 0) {
    SetError(response, status, http_status);
    return false;
  };
  if (!exchange.framing_error.empty()) return refuse(InvalidArgument("{}", exchange.framing_error));
  const std::optional<Target> target = SplitTarget(request.target);
  if (!target) return refuse(InvalidArgument("the request's target is not a path"));
  if (Open(request, target->path, response, exchange)) return false;

  const bool head = request.method == "HEAD";
  RouteMatch match = routes_.Match(head ? "GET" : request.method, target->path);
  if (match.outcome == RouteMatch::kBadPath)
    return refuse(InvalidArgument("the path has a segment that names no resource"));
  if (match.outcome == RouteMatch::kNotFound) {
    if ((head || request.method == "GET") && !config_.static_directory().empty() &&
        ServeFile(config_.static_directory(), target->path.substr(1), request, response)) {
      exchange.route = "static";
      response.set_header("Content-Security-Policy", kFilePolicy);
      return false;
    }
    return refuse(absl::NotFoundError("there is no such path; GET /openapi.json lists them"));
  }
  if (match.outcome == RouteMatch::kMethodNotAllowed) {
    if (request.method == "OPTIONS") return Preflight(request, match, response), false;
    SetError(response,
             absl::UnimplementedError(fmt::format("this path answers {} only", fmt::join(match.allowed, ", "))), 405);
    response.set_header("Allow", fmt::format("{}", fmt::join(match.allowed, ", ")));
    return false;
  }
  plan->binding = match.route == kUploadRoute ? nullptr : &api_->bindings()[static_cast<size_t>(match.route)];
  exchange.route = plan->binding == nullptr ? kUploadPath : std::string_view(plan->binding->path.text);
  const std::string_view permission =
      plan->binding == nullptr ? kUploadPermission : std::string_view(plan->binding->permission);
  if (const absl::Status status = Authenticate(request, permission, exchange, &plan->token); !status.ok())
    return refuse(status);
  plan->variables = std::move(match.variables);
  plan->query = target->query;
  return true;
}

bool GatewayHandler::Admit(const httplib::Request& request, httplib::Response& response, Exchange& exchange) {
  Plan plan;
  return Prepare(request, response, exchange, &plan);
}

void GatewayHandler::Handle(const httplib::Request& request, httplib::Response& response,
                            const httplib::ContentReader* body, Exchange& exchange) {
  const runtime::LogScope scope(exchange.trace.trace_id, exchange.request_id, exchange.tenant);
  Plan plan;
  if (!Prepare(request, response, exchange, &plan)) return;
  if (!IsKnownEncoding(request)) {
    return SetError(response, InvalidArgument("Content-Encoding: gzip, deflate or br"), 415);
  }
  if (plan.binding == nullptr) {
    UploadDataset(plan, request, response, *body, exchange);
  } else {
    CallService(plan, request, response, body, exchange);
  }
}

runtime::Outgoing GatewayHandler::CallAs(const std::string& token, const Exchange& exchange, absl::Duration limit,
                                         std::stop_token stop) {
  runtime::Outgoing out;
  out.token = token;
  out.request_id = exchange.request_id;
  out.trace = exchange.trace;
  out.deadline = absl::Now() + limit;
  out.stop = std::move(stop);
  return out;
}

absl::Status GatewayHandler::ReadJson(const httplib::Request& request, const httplib::ContentReader* body,
                                      Exchange& exchange, std::string* out, int* http_status) const {
  if (exchange.body_read || body == nullptr) return absl::OkStatus();  // there is none
  if (request.is_multipart_form_data() || !IsJson(request)) {
    *http_status = 415;
    return InvalidArgument("Content-Type must be application/json");
  }
  const size_t limit = static_cast<size_t>(config_.max_body_mb()) << 20;
  bool too_large = false;
  exchange.body_read = (*body)([&](const char* data, size_t size) {
    too_large = out->size() + size > limit;
    if (!too_large) out->append(data, size);
    return !too_large;
  });
  if (too_large) {
    *http_status = 413;
    return runtime::WithReason(
        absl::ResourceExhaustedError(fmt::format("the body is larger than {} MiB", config_.max_body_mb())),
        "BODY_TOO_LARGE");
  }
  if (!exchange.body_read) return runtime::InvalidField("body", "the body broke off before its end");
  return absl::OkStatus();
}

void GatewayHandler::CallService(const Plan& plan, const httplib::Request& request, httplib::Response& response,
                                 const httplib::ContentReader* body, Exchange& exchange) {
  const Binding& binding = *plan.binding;
  std::string json;
  int http_status = 0;
  if (const absl::Status status = ReadJson(request, body, exchange, &json, &http_status); !status.ok()) {
    return SetError(response, status, http_status);
  }
  const auto query = ParseQuery(plan.query);
  if (!query.ok()) return SetError(response, query.status());
  const auto message = transcoder_.Request(binding, plan.variables, *query, json);
  if (!message.ok()) return SetError(response, message.status());

  if (binding.streams()) {
    auto stream = backend_.Stream(
        binding.service, binding.rpc_path,
        CallAs(plan.token, exchange, absl::Seconds(config_.stream_timeout_seconds()), exchange.drain), *message);
    if (!stream.ok()) return SetError(response, stream.status());
    return AnswerStream(
        *std::move(stream), [this, &binding](const std::string& m) { return transcoder_.Response(binding, m); },
        WantsEvents(request), absl::Seconds(config_.heartbeat_seconds()), exchange, response);
  }
  const auto answer =
      backend_.Call(binding.service, binding.rpc_path,
                    CallAs(plan.token, exchange, absl::Seconds(config_.request_timeout_seconds()), exchange.abort),
                    *message, [&exchange] { return exchange.connection->PeerClosed(); });
  if (!answer.ok()) return SetError(response, answer.status());
  auto text = transcoder_.Response(binding, *answer);
  if (!text.ok()) return SetError(response, text.status());
  response.status = 200;
  response.set_content(*std::move(text), "application/json");
}

void GatewayHandler::UploadDataset(const Plan& plan, const httplib::Request& request, httplib::Response& response,
                                   const httplib::ContentReader& body, Exchange& exchange) {
  const auto query = ParseQuery(plan.query);
  if (!query.ok()) return SetError(response, query.status());
  const auto channel = app_.channels().Get("ingest");
  if (!channel.ok()) return SetError(response, channel.status());
  const auto ingest = ingest::v1::IngestService::NewStub(*channel);
  const UploadResult result =
      Upload(*ingest, CallAs(plan.token, exchange, absl::Seconds(config_.stream_timeout_seconds()), exchange.abort),
             request, *query, body, static_cast<int64_t>(config_.max_upload_mb()) << 20);
  exchange.body_read = exchange.body_read || result.body_read;
  upload_bytes_.Increment(static_cast<double>(result.bytes));
  if (!result.dataset.ok()) return SetError(response, result.dataset.status(), result.http_status);
  auto text = transcoder_.ToJson(*api_->pool().FindMessageTypeByName(result.dataset->GetTypeName()),
                                 result.dataset->SerializeAsString());
  if (!text.ok()) return SetError(response, text.status());
  response.status = 200;
  response.set_content(*std::move(text), "application/json");
}

/// Also for answers of httplib itself: to requests that could not be read.
void GatewayHandler::Finish(const httplib::Request& request, httplib::Response& response, Exchange& exchange) {
  if (response.status >= 400 && response.body.empty()) {
    SetError(response,
             response.status >= 500 ? absl::InternalError("the gateway failed")
                                    : InvalidArgument("the request cannot be read"),
             response.status);
  }
  response.set_header("X-Request-Id", exchange.request_id);
  if (!exchange.trace.trace_id.empty()) response.set_header("Traceparent", exchange.trace.ToString());
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Referrer-Policy", "no-referrer");
  response.set_header("X-Frame-Options", "DENY");
  SetHeaderOnce(response, "Content-Security-Policy", kApiPolicy);
  SetHeaderOnce(response, "Cache-Control", "no-store");
  if (!config_.tls().cert_file().empty()) response.set_header("Strict-Transport-Security", "max-age=31536000");
  if (origins_.empty()) return;
  response.set_header("Vary", "Origin");
  if (IsOrigin(request)) {
    response.set_header("Access-Control-Allow-Origin", request.get_header_value("Origin"));
    response.set_header("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Traceparent");
  }
}

}  // namespace vedette::gateway
