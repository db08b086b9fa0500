#include <httplib.h>

#include <catch2/catch.hpp>

#include "runtime/metrics.h"

namespace vedette::runtime {

TEST_CASE("metrics are served as Prometheus text") {
  Metrics metrics("triage");
  metrics.Counter("things_total", "Things", {{"kind", "a"}}).Increment();
  metrics.Counter("things_total", "Things", {{"kind", "a"}}).Increment(2);
  auto& gauge = metrics.Gauge("level", "Level");
  metrics.BeforeScrape([&gauge] { gauge.Set(7); });
  metrics.Histogram("took_seconds", "Time").Observe(0.003);
  auto server = MetricsServer::Start(metrics, "127.0.0.1", 0);
  REQUIRE(server.ok());
  httplib::Client client("127.0.0.1", (*server)->port());
  const auto answer = client.Get("/metrics");
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->body.find("things_total{kind=\"a\"} 3") != std::string::npos);
  CHECK(answer->body.find("level 7") != std::string::npos);
  CHECK(answer->body.find("took_seconds_bucket{le=\"0.005\"} 1") != std::string::npos);
  CHECK(answer->body.find("vedette_build_info{") != std::string::npos);
  CHECK(client.Get("/other")->status == 404);

  const auto taken = MetricsServer::Start(metrics, "127.0.0.1", (*server)->port());
  CHECK(taken.status().code() == absl::StatusCode::kUnavailable);
}

}  // namespace vedette::runtime
