#include "services/gateway/adapters/http_server.h"

#include <absl/time/clock.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/ids.h"
#include "base/status.h"
#include "runtime/log.h"

namespace vedette::gateway {
namespace {

constexpr int kBacklog = 1024;
constexpr size_t kMaxRequestId = 64;
constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

thread_local Exchange* current = nullptr;  ///< of this thread's request; httplib's hooks know only request and response
thread_local bool overloaded = false;      ///< this thread may only refuse

bool IsPlainId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestId && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
}

bool HasContent(const std::string& method) {
  return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

/// Where a message ends must have one answer (RFC 9112 section 6.3); a proxy before us may have found another one.
std::string FramingError(const httplib::Request& request, bool* has_body) {
  const size_t lengths = request.get_header_value_count("Content-Length");
  const size_t encodings = request.get_header_value_count("Transfer-Encoding");
  *has_body = lengths + encodings > 0;
  if (lengths + encodings > 1) return "more than one Content-Length or Transfer-Encoding";
  if (encodings == 1) {
    std::string coding = request.get_header_value("Transfer-Encoding");
    std::transform(coding.begin(), coding.end(), coding.begin(), [](unsigned char c) { return std::tolower(c); });
    return coding == "chunked" ? "" : "a Transfer-Encoding other than chunked";
  }
  if (lengths == 1) {
    const std::string length = request.get_header_value("Content-Length");
    const bool digits = !length.empty() && length.size() <= 18 &&
                        std::all_of(length.begin(), length.end(), [](unsigned char c) { return std::isdigit(c); });
    if (!digits) return "a Content-Length that is no number";
    *has_body = length.find_first_not_of('0') != std::string::npos;
  }
  return {};
}

}  // namespace

/// Connections on threads of their own, as many as there may be; who comes beyond that is refused by the accepting
/// thread.
class HttpServer::Queue : public httplib::TaskQueue {
 public:
  explicit Queue(int threads) : pool_(std::make_unique<runtime::WorkPool>(threads, 0)) {}
  void enqueue(std::function<void()> fn) override {
    const auto task = std::make_shared<std::function<void()>>(std::move(fn));
    if (pool_->TrySubmit([task] { (*task)(); })) return;
    overloaded = true;
    (*task)();
    overloaded = false;
  }
  void shutdown() override { pool_.reset(); }

 private:
  std::unique_ptr<runtime::WorkPool> pool_;
};

HttpServer::HttpServer(const v1::HttpConfig& config, absl::Duration shutdown, HttpHandler& handler,
                       runtime::Metrics& metrics)
    : handler_(handler),
      metrics_(metrics),
      limits_{.keep_alive = absl::Seconds(config.keep_alive_seconds()),
              .header_timeout = absl::Seconds(config.header_timeout_seconds()),
              .body_timeout = absl::Seconds(config.body_timeout_seconds()),
              .min_body_bytes_per_second = config.min_body_bytes_per_second()},
      shutdown_(shutdown),
      max_connections_(static_cast<int>(config.max_connections())),
      open_(metrics.Gauge("http_connections", "Connections that are open")),
      refused_(metrics.Counter("http_refused_connections_total", "Connections beyond http.max_connections")) {}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Create(const v1::HttpConfig& config, absl::Duration shutdown,
                                                               HttpHandler& handler, runtime::Metrics& metrics) {
  std::unique_ptr<HttpServer> server(new HttpServer(config, shutdown, handler, metrics));
  if (!config.tls().cert_file().empty()) {
    ASSIGN_OR_RETURN(server->tls_, MakeServerTls(config.tls().cert_file(), config.tls().key_file()));
  }
  server->new_task_queue = [threads = server->max_connections_] { return new Queue(threads); };
  server->set_socket_options(
      [](socket_t socket) {  // not SO_REUSEPORT, httplib's default: a port in use must be an error
        const int yes = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
      });
  server->Route();
  const int port = static_cast<int>(config.port());
  server->port_ = port == 0                                   ? server->bind_to_any_port(config.host())
                  : server->bind_to_port(config.host(), port) ? port
                                                              : -1;
  if (server->port_ <= 0) return Unavailable("cannot listen on {}:{}; is the port in use?", config.host(), port);
  ::listen(server->svr_sock_, kBacklog);  // httplib's own backlog is 5
  return server;
}

HttpServer::~HttpServer() { Drain(); }

void HttpServer::Route() {
  set_tcp_nodelay(true);
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    if (HasContent(request.method)) return HandlerResponse::Unhandled;  // goes on to the handlers below
    handler_.Handle(request, response, nullptr, *current);
    return HandlerResponse::Handled;
  });
  const auto with_body = [this](const httplib::Request& request, httplib::Response& response,
                                const httplib::ContentReader& body) {
    handler_.Handle(request, response, &body, *current);
  };
  Post("/", with_body);  // Setup makes every path "/"
  Put("/", with_body);
  Patch("/", with_body);
  Delete("/", with_body);
  set_expect_100_continue_handler([this](const httplib::Request& request, httplib::Response& response) {
    return handler_.Admit(request, response, *current) ? 100 : response.status;
  });
  set_post_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    handler_.Finish(request, response, *current);
    if ((!current->body_read || drain_.stop_requested()) && !response.has_header("Connection")) {
      response.set_header("Connection", "close");
    }
  });
  set_exception_handler([this](const httplib::Request&, httplib::Response& response, const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      runtime::LogError("stray exception in a request", {{"error", e.what()}, {"route", current->route}});
    } catch (...) {
      runtime::LogError("stray exception in a request", {{"route", current->route}});
    }
    response.body.clear();
    response.status = 500;
  });
  set_logger([](const httplib::Request&, const httplib::Response& response) { current->status = response.status; });
}

/// After the headers, before anything looks at the request.
void HttpServer::Setup(httplib::Request& request, Exchange& exchange) const {
  exchange.connection->BeginBody();
  if (std::find(std::begin(kMethods), std::end(kMethods), request.method) != std::end(kMethods))
    exchange.method = request.method;
  bool has_body = false;
  exchange.framing_error = FramingError(request, &has_body);
  exchange.body_read = !has_body && exchange.framing_error.empty();
  if (!has_body && !request.has_header("Content-Length"))
    request.set_header("Content-Length", "0");  // httplib would read to the end
  if (const std::string id = request.get_header_value("x-request-id"); IsPlainId(id)) exchange.request_id = id;
  const auto trace = runtime::TraceContext::Parse(request.get_header_value("traceparent"));
  exchange.trace = trace ? trace->Child() : runtime::TraceContext::New();
  request.ranges.clear();       // answers are never cut
  request.path.assign(1, '/');  // what httplib decoded is not used; target is
  request.params.clear();
}

void HttpServer::Record(const Exchange& exchange, const Connection& connection) {
  const double seconds = absl::ToDoubleSeconds(absl::Now() - exchange.started);
  metrics_
      .Counter("http_requests_total", "Requests answered, by route template, method and status",
               {{"route", exchange.route}, {"method", exchange.method}, {"code", std::to_string(exchange.status)}})
      .Increment();
  metrics_
      .Histogram("http_request_seconds", "Time from the first byte of a request to the last byte of its answer",
                 runtime::Metrics::LatencyBounds(), {{"route", exchange.route}, {"method", exchange.method}})
      .Observe(seconds);
  const runtime::LogScope scope(exchange.trace.trace_id, exchange.request_id, exchange.tenant);
  runtime::Log(exchange.quiet ? runtime::Severity::kDebug : runtime::Severity::kInfo, "request",
               {{"method", exchange.method},
                {"route", exchange.route},
                {"status", exchange.status},
                {"seconds", seconds},
                {"bytes_in", connection.body_bytes()},
                {"bytes_out", connection.bytes_written()}});
}

void HttpServer::Refuse(socket_t socket) {
  refused_.Increment();
  static constexpr std::string_view kBody =
      R"({"error":{"code":503,"status":"UNAVAILABLE","message":"too many connections","details":[]}})";
  if (tls_ == nullptr) {
    const std::string answer = fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: 1\r\n"
        "Connection: close\r\n\r\n{}",
        kBody.size(), kBody);
    if (::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
      runtime::LogDebug("a refused client had left");
  }
  ::shutdown(socket, SHUT_WR);
  ::close(socket);
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  if (overloaded) {
    Refuse(socket);
    return false;
  }
  open_.Increment();
  {
    Connection connection(socket, limits_, tls_.get(), abort_.get_token());
    bool open = connection.Handshake();
    while (open && connection.AwaitRequest(drain_.get_token())) {
      Exchange exchange;
      exchange.started = absl::Now();
      exchange.connection = &connection;
      exchange.request_id = NewUuid();
      exchange.body_read = false;  // of what cannot be read as a request, nobody knows where it ends
      exchange.abort = abort_.get_token();
      exchange.drain = drain_.get_token();
      current = &exchange;
      bool closed = false;
      open = process_request(connection, drain_.stop_requested(), closed,
                             [&](httplib::Request& request) { Setup(request, exchange); });
      current = nullptr;
      if (exchange.status == 0) break;  // the client left before it had asked for anything
      Record(exchange, connection);
      if (!exchange.body_read) connection.LingerAtEnd();
      open = open && !closed && exchange.body_read && !drain_.stop_requested();
    }
  }
  open_.Decrement();
  return true;
}

/// No new connections; connections without a request end. httplib's loop closes the listener when its accept() fails;
/// were it taken from httplib here, answers under way would stop between two chunks, without their last words.
void HttpServer::Drain() {
  drain_.request_stop();
  ::shutdown(svr_sock_, SHUT_RDWR);
}

absl::Status HttpServer::Run(const std::stop_token& stop) {
  if (drain_.stop_requested()) return absl::OkStatus();
  std::jthread patience([this, stop](const std::stop_token& self) {
    std::stop_callback notify(stop, [this] {
      const std::lock_guard guard(mutex_);
      wake_.notify_all();
    });
    std::unique_lock lock(mutex_);
    wake_.wait(lock, self, [&] { return stop.stop_requested(); });
    if (!stop.stop_requested()) return;
    lock.unlock();
    Drain();
    lock.lock();
    if (!wake_.wait_for(lock, self, absl::ToChronoNanoseconds(shutdown_), [this] { return ended_; }) &&
        !self.stop_requested()) {
      abort_.request_stop();
    }
  });
  const bool good = listen_after_bind();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    wake_.notify_all();
  }
  return good || stop.stop_requested() ? absl::OkStatus() : Unavailable("the HTTP listener broke");
}

}  // namespace vedette::gateway
