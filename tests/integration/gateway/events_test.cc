#include "backend_app.h"

namespace vedette::gateway {
namespace {

const httplib::Headers kEvents = {{"Accept", "text/event-stream"}};

}  // namespace

TEST_CASE("a job is watched as events or as lines", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  const auto events = client.Get("/v1/jobs/1:watch", kEvents);
  REQUIRE(events);
  CHECK(events->status == 200);
  CHECK(events->get_header_value("Content-Type") == "text/event-stream");
  CHECK(events->body.find("data: {\"name\":\"jobs/1\"") == 0);
  CHECK(events->body.find("\"done_tasks\":3") != std::string::npos);
  CHECK(events->body.ends_with("event: end\ndata: {}\n\n"));

  const auto lines = client.Get("/v1/jobs/1:watch");
  CHECK(lines->get_header_value("Content-Type") == "application/x-ndjson");
  CHECK(std::count(lines->body.begin(), lines->body.end(), '\n') == 3);
  CHECK(nlohmann::json::parse(lines->body.substr(0, lines->body.find('\n')))["done_tasks"] == 1);
}

TEST_CASE("an error before the first event is an error, and later an event", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  CHECK(Error(client.Get("/v1/jobs/none:watch", kEvents))["code"] == 404);
  const auto broken = client.Get("/v1/jobs/broken:watch", kEvents);
  CHECK(broken->status == 200);
  CHECK(broken->body.find("event: error\ndata: {\"error\":{\"code\":500") != std::string::npos);
  const auto lines = client.Get("/v1/jobs/broken:watch");
  CHECK(lines->body.find("\n{\"error\":") != std::string::npos);
}

TEST_CASE("a silent stream shows signs of life, and ends when the client leaves", "[gateway]") {
  TestGateway gateway([](v1::Config& c) { c.mutable_http()->set_heartbeat_seconds(1); });
  std::string got;
  gateway.Client().Get("/v1/jobs/stuck:watch", kEvents, [&](const char* data, size_t size) {
    got.append(data, size);
    return got.find(": \n\n") == std::string::npos;  // leaves after the first heartbeat
  });
  CHECK(got.find("data: {\"name\":\"jobs/stuck\"") == 0);
  CHECK(gateway.seen.Await(gateway.seen.watches_ended));
}

TEST_CASE("a client that leaves cancels its call", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  client.set_read_timeout(0, 300'000);
  CHECK_FALSE(client.Get("/v1/jobs/slow"));
  client.stop();
  CHECK(gateway.seen.Await(gateway.seen.calls_cancelled));
}

TEST_CASE("shutdown ends streams at once and says so", "[gateway]") {
  TestGateway gateway;
  std::string got;
  std::atomic<bool> begun{false};
  std::thread reader([&] {
    gateway.Client().Get("/v1/jobs/stuck:watch", kEvents, [&](const char* data, size_t size) {
      got.append(data, size);
      begun = true;
      begun.notify_all();
      return true;
    });
  });
  begun.wait(false);
  gateway.app().Stop();
  reader.join();
  CHECK(got.find("event: error") != std::string::npos);
  CHECK(got.find("UNAVAILABLE") != std::string::npos);
  CHECK_FALSE(gateway.Client().Get("/healthz"));
}

}  // namespace vedette::gateway
