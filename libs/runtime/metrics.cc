#include "runtime/metrics.h"

#include <httplib.h>
#include <prometheus/text_serializer.h>

#include <thread>

#include "base/status.h"

namespace vedette::runtime {

Metrics::Metrics(const std::string& service) {
  Gauge("vedette_build_info", "Version of the program; always 1",
        {{"service", service}, {"version", VEDETTE_VERSION}, {"compiler", __VERSION__}})
      .Set(1);
}

prometheus::Counter& Metrics::Counter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(labels);
}

prometheus::Gauge& Metrics::Gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
}

prometheus::Histogram& Metrics::Histogram(const std::string& name, const std::string& help,
                                          const std::vector<double>& bounds, const MetricLabels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels, bounds);
}

void Metrics::BeforeScrape(std::function<void()> fn) {
  const std::lock_guard lock(mutex_);
  before_scrape_.push_back(std::move(fn));
}

const std::vector<double>& Metrics::LatencyBounds() {
  static const std::vector<double> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                             0.5,   1,      2.5,   5,    10,    30,   60};
  return bounds;
}

std::string Metrics::Scrape() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& fn : before_scrape_) fn();
  }
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

struct MetricsServer::State {
  httplib::Server http;
  std::thread thread;
  int port = 0;
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(Metrics& metrics, const std::string& host,
                                                                    int port) {
  auto state = std::make_unique<State>();
  state->http.new_task_queue = [] { return new httplib::ThreadPool(2); };
  state->http.set_tcp_nodelay(true);
  state->http.set_socket_options([](socket_t socket) {  // not SO_REUSEPORT: a port in use must be an error
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  state->http.set_payload_max_length(1024);
  state->http.set_read_timeout(5);
  state->http.set_write_timeout(5);
  state->http.Get("/metrics", [&metrics](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics.Scrape(), "text/plain; version=0.0.4; charset=utf-8");
  });
  if (port == 0) {
    port = state->http.bind_to_any_port(host.c_str());
    if (port <= 0) return Unavailable("cannot listen on {} for metrics", host);
  } else if (!state->http.bind_to_port(host.c_str(), port)) {
    return Unavailable("cannot listen on {}:{} for metrics; is the port in use?", host, port);
  }
  state->port = port;
  state->thread = std::thread([s = state.get()] { s->http.listen_after_bind(); });
  while (!state->http.is_running()) std::this_thread::yield();  // stop() before that would be lost
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

MetricsServer::~MetricsServer() {
  state_->http.stop();
  state_->thread.join();
}

int MetricsServer::port() const { return state_->port; }

}  // namespace vedette::runtime
