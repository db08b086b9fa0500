#include <grpcpp/client_context.h>

#include <catch2/catch.hpp>
#include <latch>
#include <stdexcept>
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

/// A running echo server and a stub.
struct RpcFixture {
  Keys keys;
  v1::ServerConfig config = keys.ServerConfig();
  std::unique_ptr<App> app;
  std::unique_ptr<Stub> stub;

  RpcFixture() {
    SetLogSink([](std::string_view) {});
  }
  ~RpcFixture() { SetLogSink(nullptr); }

  void Start(EchoHandlers handlers = {}) {
    app = testing::MustCreate("echo", config);
    app->server().AddService<pb::EchoService>(std::make_unique<EchoService>(app->server(), std::move(handlers)));
    const absl::Status started = app->Start();
    INFO(started.ToString());
    REQUIRE(started.ok());
    stub = pb::EchoService::NewStub(Connect(*app));
  }
  absl::StatusOr<pb::SayResponse> Say(const Outgoing& out, const std::string& text = "hi") {
    pb::SayRequest request;
    request.set_text(text);
    return Call(*stub, &Stub::Say, out, request);
  }
  bool Scraped(const std::string& line) { return app->metrics().Scrape().find(line) != std::string::npos; }
};

TEST_CASE_METHOD(RpcFixture, "a unary call brings identity, tenant, request id and trace") {
  Start();
  Outgoing out = keys.As("acme", {"viewer"});
  const auto answer = Say(out);
  INFO(answer.status().ToString());
  REQUIRE(answer.ok());
  CHECK(answer->text() == "hi");
  CHECK(answer->tenant() == "acme");
  CHECK(answer->subject() == "tester");
  CHECK(answer->request_id() == out.request_id);
  CHECK(answer->trace_id() == out.trace.trace_id);
  CHECK(Scraped("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Say\""));
  CHECK(Scraped("grpc_server_started_total{"));
  CHECK(Scraped("grpc_server_handling_seconds_count{"));

  out.request_id = "bad id\tx";  // not echoed: it goes into logs
  CHECK(Say(keys.As("acme", {"viewer"}))->request_id() != out.request_id);
}

TEST_CASE_METHOD(RpcFixture, "without a token, or with a bad one, every method answers UNAUTHENTICATED") {
  Start();
  const auto unauthenticated = [](const absl::Status& status) {
    INFO(status.ToString());
    CHECK(status.code() == absl::StatusCode::kUnauthenticated);
  };
  const Outgoing nobody = Outgoing::WithToken("", absl::Seconds(10));
  unauthenticated(Say(nobody).status());
  CHECK(GetReason(Say(nobody).status()) == "TOKEN_MISSING");
  unauthenticated(Say(Outgoing::WithToken("a.b.c", absl::Seconds(10))).status());
  unauthenticated(
      Say(Outgoing::WithToken(keys.Token("acme", {"viewer"}, -absl::Hours(1)), absl::Seconds(10))).status());
  unauthenticated(Call(*stub, &Stub::Change, nobody, pb::ChangeRequest()).status());
  unauthenticated(Call(*stub, &Stub::Manage, nobody, pb::ManageRequest()).status());
  pb::CountRequest count;
  count.set_to(3);
  int messages = 0;
  unauthenticated(CallStream(*stub, &Stub::Count, nobody, count, [&](const pb::CountResponse&) {
    ++messages;
    return absl::OkStatus();
  }));
  CHECK(messages == 0);
  {
    ClientCall call(nobody);
    pb::SumResponse response;
    auto writer = stub->Sum(call.context(), &response);
    writer->Write(pb::SumRequest());
    writer->WritesDone();
    unauthenticated(FromGrpcStatus(writer->Finish()));
  }
  {
    ClientCall call(nobody);
    auto chat = stub->Chat(call.context());
    chat->WritesDone();
    unauthenticated(FromGrpcStatus(chat->Finish()));
  }
  CHECK(Call(*stub, &Stub::Ping, nobody, pb::PingRequest()).ok());
}

TEST_CASE_METHOD(RpcFixture, "roles, and whose data") {
  Start();
  const auto change = [&](const Outgoing& out) {
    return Call(*stub, &Stub::Change, out, pb::ChangeRequest()).status();
  };
  CHECK(change(keys.As("acme", {"operator"})).ok());
  CHECK(change(keys.As("acme", {"viewer"})).code() == absl::StatusCode::kPermissionDenied);
  CHECK(GetReasonMetadata(change(keys.As("acme", {"viewer"})))["permission"] == "echo.write");
  CHECK(change(keys.As("acme", {})).code() == absl::StatusCode::kPermissionDenied);

  Outgoing elsewhere = keys.As("acme", {"admin"});
  elsewhere.tenant = "other";
  CHECK(GetReason(Say(elsewhere).status()) == "WRONG_TENANT");
  elsewhere.tenant = "acme";
  CHECK(Say(elsewhere).ok());
  CHECK(GetReason(Say(keys.As("", {"admin"})).status()) == "TENANT_MISSING");

  CHECK(Say(keys.AsService("other"))->tenant() == "other");
  CHECK(GetReason(Say(keys.AsService("")).status()) == "TENANT_MISSING");
  CHECK(Say(keys.AsService("a/../b")).status().code() == absl::StatusCode::kInvalidArgument);
  Outgoing bound = keys.As("acme", {"service"});  // a service token that names a tenant stays in it
  bound.tenant = "other";
  CHECK(GetReason(Say(bound).status()) == "WRONG_TENANT");

  const auto manage = [&](const Outgoing& out) {
    return Call(*stub, &Stub::Manage, out, pb::ManageRequest()).status();
  };
  CHECK(manage(keys.AsService("")).ok());
  CHECK(manage(keys.As("acme", {"admin"})).code() == absl::StatusCode::kPermissionDenied);
}

TEST_CASE_METHOD(RpcFixture, "streams in all directions") {
  Start();
  pb::CountRequest count;
  count.set_to(1000);
  int64_t next = 0;
  CHECK(CallStream(*stub, &Stub::Count, keys.As("acme", {"viewer"}), count, [&](const pb::CountResponse& message) {
          CHECK(message.number() == next++);
          return absl::OkStatus();
        }).ok());
  CHECK(next == 1000);
  {
    ClientCall call(keys.As("acme", {"analyst"}));
    pb::SumResponse response;
    auto writer = stub->Sum(call.context(), &response);
    pb::SumRequest message;
    for (int i = 1; i <= 1000; ++i) {
      message.set_number(i);
      REQUIRE(writer->Write(message));
    }
    writer->WritesDone();
    REQUIRE(writer->Finish().ok());
    CHECK(response.sum() == 500500);
  }
  {
    ClientCall call(keys.As("acme", {"viewer"}));
    auto chat = stub->Chat(call.context());
    pb::ChatRequest request;
    pb::ChatResponse response;
    for (const char* text : {"one", "two", "three"}) {
      request.set_text(text);
      REQUIRE(chat->Write(request));
      REQUIRE(chat->Read(&response));
      CHECK(response.text() == std::string("re: ") + text);
    }
    request.set_text("bye");  // the handler ends while a read is under way
    REQUIRE(chat->Write(request));
    CHECK_FALSE(chat->Read(&response));
    CHECK(chat->Finish().error_code() == grpc::StatusCode::OUT_OF_RANGE);
  }
}

TEST_CASE_METHOD(RpcFixture, "a full pool answers RESOURCE_EXHAUSTED at once, and says when to come back") {
  config.mutable_grpc()->set_worker_threads(1);
  config.mutable_grpc()->set_max_queued_calls(1);
  std::latch running(1), release(1);
  EchoHandlers handlers;
  handlers.say = [&](const pb::SayRequest& request, pb::SayResponse*, CallContext&) {
    if (request.text() == "block") {
      running.count_down();
      release.wait();
    }
    return absl::OkStatus();
  };
  Start(std::move(handlers));
  const Outgoing out = keys.As("acme", {"viewer"});
  std::thread first([&] { CHECK(Say(out, "block").ok()); });
  running.wait();
  std::thread second([&] { CHECK(Say(out, "waits").ok()); });
  while (!Scraped("grpc_server_queued_calls 1")) std::this_thread::yield();
  const absl::Status third = Say(out, "too many").status();
  CHECK(third.code() == absl::StatusCode::kResourceExhausted);
  CHECK(GetReason(third) == "OVERLOADED");
  CHECK(GetRetryDelay(third) == absl::Seconds(1));
  CHECK(CheckHealth(Connect(*app), "", absl::Seconds(10)).ok());  // health does not queue behind work
  release.count_down();
  first.join();
  second.join();
}

TEST_CASE_METHOD(RpcFixture, "streams have threads of their own, and a limit of their own") {
  config.mutable_grpc()->set_max_streams(1);
  Start();
  ClientCall call(keys.As("acme", {"viewer"}));
  auto chat = stub->Chat(call.context());
  pb::ChatRequest request;
  pb::ChatResponse response;
  REQUIRE(chat->Write(request));
  REQUIRE(chat->Read(&response));
  CHECK(Say(keys.As("acme", {"viewer"})).ok());
  const absl::Status second = CallStream(*stub, &Stub::Count, keys.As("acme", {"viewer"}), pb::CountRequest(),
                                         [](const pb::CountResponse&) { return absl::OkStatus(); });
  CHECK(second.code() == absl::StatusCode::kResourceExhausted);
  chat->WritesDone();
  CHECK(chat->Finish().ok());
}

TEST_CASE_METHOD(RpcFixture, "cancellation reaches the handler") {
  std::latch running(1), stopped(1);
  EchoHandlers handlers;
  handlers.say = [&](const pb::SayRequest&, pb::SayResponse*, CallContext& call) {
    running.count_down();
    CHECK_FALSE(WaitFor(absl::Minutes(5), call.stop));
    stopped.count_down();
    return call.Check();
  };
  Start(std::move(handlers));
  std::stop_source stop;
  std::thread caller([&] {
    const auto answer = Say(keys.As("acme", {"viewer"}, absl::Minutes(5), stop.get_token()));
    CHECK(answer.status().code() == absl::StatusCode::kCancelled);
  });
  running.wait();
  stop.request_stop();
  stopped.wait();
  caller.join();
}

TEST_CASE_METHOD(RpcFixture, "a writer learns that its reader is gone") {
  std::latch ended(1);
  absl::Status seen;
  EchoHandlers handlers;
  handlers.count = [&](const pb::CountRequest&, Writer<pb::CountResponse>& out, CallContext& call) {
    pb::CountResponse message;
    while (out.Write(message)) {
    }
    WaitFor(absl::Minutes(5), call.stop);
    seen = call.Check();
    ended.count_down();
    return seen;
  };
  Start(std::move(handlers));
  int messages = 0;
  const absl::Status status = CallStream(
      *stub, &Stub::Count, keys.As("acme", {"viewer"}), pb::CountRequest(),
      [&](const pb::CountResponse&) { return ++messages < 10 ? absl::OkStatus() : absl::AbortedError("enough"); });
  CHECK(status.code() == absl::StatusCode::kAborted);
  ended.wait();
  CHECK(seen.code() == absl::StatusCode::kCancelled);
}

TEST_CASE_METHOD(RpcFixture, "deadlines: the caller's own, and the server's for calls without one") {
  config.mutable_grpc()->set_default_deadline_seconds(1);
  EchoHandlers handlers;
  handlers.say = [&](const pb::SayRequest&, pb::SayResponse*, CallContext& call) {
    CHECK_FALSE(WaitFor(absl::Minutes(5), call.stop));
    return call.Check();
  };
  Start(std::move(handlers));
  CHECK(Say(keys.As("acme", {"viewer"}, absl::Milliseconds(200))).status().code() ==
        absl::StatusCode::kDeadlineExceeded);

  grpc::ClientContext context;  // without a deadline
  context.AddMetadata("authorization", "Bearer " + keys.Token("acme", {"viewer"}));
  pb::SayResponse response;
  const grpc::Status status = stub->Say(&context, pb::SayRequest(), &response);
  CHECK(status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_CASE_METHOD(RpcFixture, "exceptions and internal errors tell the caller nothing") {
  EchoHandlers handlers;
  handlers.say = [&](const pb::SayRequest& request, pb::SayResponse*, CallContext&) -> absl::Status {
    if (request.text() == "throw") throw std::runtime_error("secret detail");
    if (request.text() == "int") throw 42;
    return absl::InternalError("secret detail");
  };
  Start(std::move(handlers));
  for (const char* how : {"throw", "int", "status"}) {
    const absl::Status status = Say(keys.As("acme", {"viewer"}), how).status();
    CHECK(status.code() == absl::StatusCode::kInternal);
    CHECK(Message(status).find("secret") == std::string_view::npos);
    CHECK_FALSE(GetReasonMetadata(status)["error_id"].empty());
  }
}

TEST_CASE_METHOD(RpcFixture, "a request check runs after authorisation and before the handler") {
  app = testing::MustCreate("echo", config);
  app->server().AddService<pb::EchoService>(std::make_unique<EchoService>(app->server(), EchoHandlers()));
  app->server().SetRequestCheck([](const google::protobuf::Message& request) {
    const auto* say = dynamic_cast<const pb::SayRequest*>(&request);
    return say != nullptr && say->text().empty() ? InvalidField("text", "is required") : absl::OkStatus();
  });
  REQUIRE(app->Start().ok());
  stub = pb::EchoService::NewStub(Connect(*app));
  CHECK(GetFieldViolations(Say(keys.As("acme", {"viewer"}), "").status()).at(0).field == "text");
  CHECK(Say(Outgoing::WithToken("", absl::Seconds(10)), "").status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(Say(keys.As("acme", {"viewer"}), "x").ok());
}

TEST_CASE_METHOD(RpcFixture, "a message over the limit is refused, one under it is not") {
  config.mutable_grpc()->set_max_receive_mb(1);
  Start();
  CHECK(Say(keys.As("acme", {"viewer"}), std::string(900 << 10, 'x')).ok());
  CHECK(Say(keys.As("acme", {"viewer"}), std::string(1100 << 10, 'x')).status().code() ==
        absl::StatusCode::kResourceExhausted);
}

TEST_CASE_METHOD(RpcFixture, "on behalf of the caller, and as the service itself") {
  // A chain: the front calls the back with the user's token, then with its own.
  Start();
  auto front = testing::MustCreate("front", [&] {
    v1::ServerConfig c = keys.ServerConfig();
    (*c.mutable_endpoints())["echo"] = testing::Address(*app);
    return c;
  }());
  EchoHandlers handlers;
  handlers.say = [&](const pb::SayRequest& request, pb::SayResponse* response, CallContext& call) -> absl::Status {
    ASSIGN_OR_RETURN(auto channel, front->channels().Get("echo"));
    auto back = pb::EchoService::NewStub(channel);
    Outgoing out = Outgoing::OnBehalfOf(call);
    if (request.text() == "service") {
      ASSIGN_OR_RETURN(out, Outgoing::AsService(front->service_token(), call));
    }
    ASSIGN_OR_RETURN(*response, Call(*back, &Stub::Say, out, request));
    return absl::OkStatus();
  };
  front->server().AddService<pb::EchoService>(std::make_unique<EchoService>(front->server(), std::move(handlers)));
  REQUIRE(front->Start().ok());
  stub = pb::EchoService::NewStub(Connect(*front));
  const Outgoing out = keys.As("acme", {"viewer"});
  const auto user = Say(out, "user");
  REQUIRE(user.ok());
  CHECK(user->subject() == "tester");
  CHECK(user->trace_id() == out.trace.trace_id);
  CHECK(user->request_id() == out.request_id);
  const auto service = Say(out, "service");
  REQUIRE(service.ok());
  CHECK(service->subject() == "test-service");
  CHECK(service->tenant() == "acme");
  CHECK(front->channels().Get("nowhere").status().code() == absl::StatusCode::kFailedPrecondition);
}

class Unguarded final : public pb::UnguardedService::CallbackService {};
class Misspelled final : public pb::MisspelledService::CallbackService {};
class Twin final : public pb::TwinService::CallbackService {};

TEST_CASE("a server with an unguarded, misspelled or ambiguous method does not start") {
  const Keys keys;
  const auto why = [&](auto add) {
    auto app = testing::MustCreate("echo", keys.ServerConfig());
    add(app->server());
    const absl::Status status = app->Start();
    REQUIRE(status.code() == absl::StatusCode::kFailedPrecondition);
    return std::string(Message(status));
  };
  CHECK(why([](Server& s) {
          s.AddService<pb::UnguardedService>(std::make_unique<Unguarded>());
        }).find("UnguardedService/Open has no permission") != std::string::npos);
  CHECK(why([](Server& s) { s.AddService<pb::MisspelledService>(std::make_unique<Misspelled>()); }).find("raed") !=
        std::string::npos);
  CHECK(why([](Server& s) { s.AddService<pb::TwinService>(std::make_unique<Twin>()); }).find("share both") !=
        std::string::npos);
}

TEST_CASE("a port in use is a clear error") {
  const Keys keys;
  auto first = testing::MustCreate("echo", keys.ServerConfig());
  REQUIRE(first->Start().ok());
  v1::ServerConfig config = keys.ServerConfig();
  config.mutable_grpc()->set_port(static_cast<uint32_t>(first->server().port()));
  auto second = testing::MustCreate("echo", config);
  const absl::Status status = second->Start();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK(Message(status).find("in use") != std::string_view::npos);
}

}  // namespace
}  // namespace vedette::runtime
