#include <atomic>
#include <catch2/catch.hpp>
#include <latch>
#include <thread>

#include "base/status.h"
#include "echo_service.h"
#include "runtime/log.h"
#include "support/test_app.h"

namespace vedette::runtime {
namespace {

using testing::Connect;
using testing::Keys;
using Stub = pb::EchoService::Stub;

struct Quiet {
  Quiet() {
    SetLogSink([](std::string_view) {});
  }
  ~Quiet() { SetLogSink(nullptr); }
};

std::unique_ptr<App> Start(const v1::ServerConfig& config, EchoHandlers handlers) {
  auto app = testing::MustCreate("echo", config);
  app->server().AddService<pb::EchoService>(std::make_unique<EchoService>(app->server(), std::move(handlers)));
  REQUIRE(app->Start().ok());
  return app;
}

TEST_CASE("at shutdown a call in progress ends well, a watcher is told to go") {
  const Quiet quiet;
  const Keys keys;
  std::latch running(2), release(1);
  EchoHandlers handlers;
  handlers.say = [&](const pb::SayRequest&, pb::SayResponse*, CallContext&) {
    running.count_down();
    release.wait();
    return absl::OkStatus();
  };
  handlers.count = [&](const pb::CountRequest&, Writer<pb::CountResponse>&, CallContext& call) {
    running.count_down();
    CHECK_FALSE(WaitFor(absl::Minutes(5), call.stop, call.drain));
    CHECK_FALSE(call.stop.stop_requested());
    return absl::UnavailableError("the server is shutting down");
  };
  auto app = Start(keys.ServerConfig(), std::move(handlers));
  auto stub = pb::EchoService::NewStub(Connect(*app));
  const Outgoing out = keys.As("acme", {"viewer"}, absl::Minutes(1));
  std::thread unary([&] { CHECK(Call(*stub, &Stub::Say, out, pb::SayRequest()).ok()); });
  std::thread watch([&] {
    const absl::Status status = CallStream(*stub, &Stub::Count, out, pb::CountRequest(),
                                           [](const pb::CountResponse&) { return absl::OkStatus(); });
    CHECK(status.code() == absl::StatusCode::kUnavailable);
  });
  running.wait();
  app->server().SetNotServing();
  CHECK(CheckHealth(Connect(*app), "", absl::Seconds(10)).code() == absl::StatusCode::kUnavailable);
  std::thread stopper([&] { app->Stop(); });
  watch.join();
  release.count_down();
  unary.join();
  stopper.join();
}

TEST_CASE("a call that does not end in time is cancelled") {
  const Quiet quiet;
  const Keys keys;
  v1::ServerConfig config = keys.ServerConfig();
  config.set_shutdown_seconds(1);
  std::latch running(1);
  EchoHandlers handlers;
  handlers.say = [&](const pb::SayRequest&, pb::SayResponse*, CallContext& call) {
    running.count_down();
    CHECK_FALSE(WaitFor(absl::Minutes(5), call.stop));
    return call.Check();
  };
  auto app = Start(config, std::move(handlers));
  auto stub = pb::EchoService::NewStub(Connect(*app));
  std::thread caller([&] {
    CHECK_FALSE(Call(*stub, &Stub::Say, keys.As("acme", {"viewer"}, absl::Minutes(1)), pb::SayRequest()).ok());
  });
  running.wait();
  app->Stop();
  caller.join();
}

TEST_CASE("health follows the dependencies") {
  const Quiet quiet;
  const Keys keys;
  std::atomic<bool> up = false;
  auto app = testing::MustCreate("echo", keys.ServerConfig());
  app->server().AddService<pb::EchoService>(std::make_unique<EchoService>(app->server(), EchoHandlers()));
  app->server().AddReadiness("database", [&] { return up ? absl::OkStatus() : absl::UnavailableError("down"); });
  REQUIRE(app->Start().ok());
  const auto channel = Connect(*app);
  const std::string service = pb::EchoService::service_full_name();
  CHECK(CheckHealth(channel, "", absl::Seconds(10)).code() == absl::StatusCode::kUnavailable);
  CHECK(CheckHealth(channel, service, absl::Seconds(10)).code() == absl::StatusCode::kUnavailable);
  CHECK(CheckHealth(channel, "unknown.Service", absl::Seconds(10)).code() == absl::StatusCode::kNotFound);
  up = true;
  while (!app->server().serving()) std::this_thread::yield();
  while (!CheckHealth(channel, service, absl::Seconds(10)).ok()) std::this_thread::yield();
  up = false;
  while (CheckHealth(channel, "", absl::Seconds(10)).ok()) std::this_thread::yield();
}

TEST_CASE("what an app owns outlives workers and server, and goes in reverse order") {
  const Quiet quiet;
  const Keys keys;
  std::vector<std::string> gone;
  struct Part {
    std::string name;
    std::vector<std::string>& log;
    ~Part() { log.push_back(name); }
  };
  {
    auto app = testing::MustCreate("echo", keys.ServerConfig());
    Part* pool = app->Own(std::unique_ptr<Part>(new Part{"pool", gone}));
    app->Own(std::unique_ptr<Part>(new Part{"core", gone}));
    app->AddWorker("relay", [pool](std::stop_token stop) {
      CHECK(pool->name == "pool");
      WaitFor(absl::Minutes(5), stop);
      return absl::OkStatus();
    });
    app->OnStop([&] { gone.push_back("stop"); });
    REQUIRE(app->Start().ok());
    CHECK(app->metrics_port() > 0);
    app->Stop();
    app->Stop();
  }
  CHECK(gone == std::vector<std::string>{"stop", "core", "pool"});
}

TEST_CASE("an app that was built but never started ends quietly") {
  const Keys keys;
  auto app = testing::MustCreate("echo", keys.ServerConfig());
  app->AddWorker("relay", [](std::stop_token) { return absl::OkStatus(); });
}

}  // namespace
}  // namespace vedette::runtime
