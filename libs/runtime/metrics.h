// Prometheus metrics. Names: <service or library>_<what>_<unit>[_total], labels of few values only: never a tenant, a
// name or an id.
#pragma once

#include <absl/status/statusor.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace vedette::runtime {

using MetricLabels = std::map<std::string, std::string>;

/// The metrics of one process. Thread-safe; what it returns lives as long as it does. The same name and labels give
/// the same metric.
class Metrics {
 public:
  explicit Metrics(const std::string& service);

  prometheus::Counter& Counter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const std::vector<double>& bounds = LatencyBounds(), const MetricLabels& labels = {});
  /// Called before every scrape, to set gauges that are read and not counted (queue lengths...).
  void BeforeScrape(std::function<void()> fn);

  /// 1 ms to 60 s, for seconds.
  static const std::vector<double>& LatencyBounds();
  /// The text of /metrics.
  std::string Scrape();

 private:
  prometheus::Registry registry_;
  std::mutex mutex_;
  std::vector<std::function<void()>> before_scrape_;
};

/// Serves GET /metrics on a thread of its own. Stops at once on destruction.
class MetricsServer {
 public:
  /// port 0 takes a free one.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(Metrics& metrics, const std::string& host, int port);
  ~MetricsServer();
  int port() const;

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace vedette::runtime
