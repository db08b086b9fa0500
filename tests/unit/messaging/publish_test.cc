#include "messaging/publish.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "base/ids.h"
#include "base/status.h"
#include "messaging/streams.h"
#include "support/support.h"

namespace vedette::messaging {
namespace {

CloudEvent Fact(std::string id, std::string data = "data") {
  return {.id = std::move(id), .source = "vedette/test", .type = "test.v1", .tenant = "t1", .data = std::move(data)};
}

}  // namespace

TEST_CASE("connecting: credentials") {
  auto& server = testing::SharedNats();
  const testing::TempDir dir;
  std::ofstream(dir.path() + "/token") << server.token() << "\n";
  std::ofstream(dir.path() + "/empty") << "\n";
  const auto connect = [&](ConnectionOptions o) {
    o.connect_deadline = absl::Milliseconds(50);
    if (o.url == ConnectionOptions{}.url) o.url = server.Url();
    return Connection::Connect(std::move(o)).status();
  };
  CHECK(connect({.token_file = dir.path() + "/token"}).ok());
  CHECK(absl::IsUnauthenticated(connect({.token = "wrong-wrong-wrong"})));
  CHECK(absl::IsUnauthenticated(connect({})));
  CHECK(absl::IsNotFound(connect({.token_file = dir.path() + "/none"})));
  CHECK(absl::IsInvalidArgument(connect({.token_file = dir.path() + "/empty"})));
  CHECK(absl::IsInvalidArgument(connect({.token = "a", .user = "b"})));
  CHECK(absl::IsInvalidArgument(connect({.user = "b"})));
  CHECK(absl::IsInvalidArgument(connect({.url = "nats://user:secret@127.0.0.1:1"})));
  CHECK(absl::IsUnavailable(connect({.url = "nats://127.0.0.1:1"})));
}

TEST_CASE("streams: created once, updated, never silently replaced") {
  const auto c = testing::NewNatsConnection();
  CHECK(EnsureOurStreams(*c).ok());
  StreamSpec spec{
      .name = "TEST_STREAM", .subjects = {"test.stream.>"}, .max_age = absl::Hours(1), .max_bytes = 1 << 20};
  CHECK(EnsureStream(*c, spec).ok());
  CHECK(EnsureStream(*c, spec).ok());
  spec.max_age = absl::Hours(2);
  spec.subjects.push_back("test.more.>");
  CHECK(EnsureStream(*c, spec).ok());
  spec.retention = Retention::kWorkQueue;
  CHECK(absl::IsFailedPrecondition(EnsureStream(*c, spec)));
  CHECK(absl::IsFailedPrecondition(EnsureStream(*c, {.name = "OVERLAP", .subjects = {"work.x"}})));
  CHECK(absl::IsNotFound(GetStreamState(*c, "NO_SUCH").status()));
}

TEST_CASE("publishing: stored once, whatever is repeated") {
  const auto c = testing::NewNatsConnection();
  const auto publisher = Publisher::Create(c.get());
  REQUIRE(publisher.ok());
  const auto first = (*publisher)->Publish("facts.test", Fact("1"));
  REQUIRE(first.ok());
  CHECK(first->stream == kFactsStream);
  CHECK_FALSE(first->duplicate);
  const auto again = (*publisher)->Publish("facts.test", Fact("1"));
  REQUIRE(again.ok());
  CHECK(again->duplicate);
  CHECK(again->sequence == first->sequence);
  CloudEvent other = Fact("1");
  other.tenant = "t2";
  CHECK_FALSE((*publisher)->Publish("facts.test", other)->duplicate);
  CHECK(GetStreamState(*c, kFactsStream)->messages == 2);
}

TEST_CASE("publishing: errors") {
  const auto c = testing::NewNatsConnection();
  const auto publisher = Publisher::Create(c.get());
  REQUIRE(publisher.ok());
  Publisher& p = **publisher;
  CHECK(absl::IsNotFound(p.Publish("nobody.takes.this", Fact("1")).status()));
  CHECK(absl::IsInvalidArgument(p.Publish("facts.*", Fact("1")).status()));
  CHECK(absl::IsInvalidArgument(p.Publish("facts.x", Fact("")).status()));
  CHECK(absl::IsInvalidArgument(p.Publish("facts.x", Fact("1", std::string(9 << 20, 'x'))).status()));
  CHECK(absl::IsDeadlineExceeded(p.Publish("facts.x", Fact("1"), absl::Now() - absl::Seconds(1)).status()));
  REQUIRE(EnsureStream(
              *c, {.name = "SMALL", .subjects = {"small.>"}, .retention = Retention::kWorkQueue, .max_bytes = 4096})
              .ok());
  absl::Status full;
  for (int i = 0; i < 10 && full.ok(); ++i)
    full = p.Publish("small.x", Fact(NewUuid(), std::string(1000, 'x'))).status();
  CHECK(absl::IsResourceExhausted(full));
}

TEST_CASE("batches: one answer for each message, in order") {
  const auto c = testing::NewNatsConnection();
  std::atomic<int> counted{0};
  const auto publisher = Publisher::Create(
      c.get(), {.max_in_flight = 64, .on_publish = [&](absl::Duration, const absl::Status&) { ++counted; }});
  REQUIRE(publisher.ok());
  const auto batch = [&](int from, int to) {
    std::vector<OutgoingMessage> out;
    for (int i = from; i < to; ++i) out.push_back({i == 500 ? "bad subject" : "facts.batch", Fact(std::to_string(i))});
    return out;
  };
  const auto results = (*publisher)->PublishBatch(batch(0, 1000));
  REQUIRE(results.size() == 1000);
  uint64_t last = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    if (i == 500) {
      CHECK(absl::IsInvalidArgument(results[i].status()));
      continue;
    }
    REQUIRE(results[i].ok());
    CHECK(results[i]->sequence == last + 1);
    last = results[i]->sequence;
  }
  CHECK(counted == 1000);
  // Several threads at once.
  {
    std::vector<std::jthread> threads;
    for (int t = 1; t <= 4; ++t) {
      threads.emplace_back([&, t] {
        for (const auto& r : (*publisher)->PublishBatch(batch(t * 1000, t * 1000 + 300))) CHECK(r.ok());
      });
    }
  }
  CHECK(GetStreamState(*c, kFactsStream)->messages == 999 + 1200);
}

TEST_CASE("nothing acknowledged is lost when the server is killed, nothing doubles when it is repeated") {
  const testing::TempDir dir;
  auto server = devcluster::NatsServer::Start({.data_dir = dir.path() + "/nats", .token = RandomHex(16)});
  REQUIRE(server.ok());
  const auto c = Connection::Connect(
      {.url = (*server)->Url(), .token = (*server)->token(), .max_reconnect_wait = absl::Milliseconds(100)});
  REQUIRE(c.ok());
  REQUIRE(EnsureOurStreams(**c).ok());
  const auto publisher = Publisher::Create(c->get());
  REQUIRE(publisher.ok());
  std::vector<OutgoingMessage> messages;
  for (int i = 0; i < 200; ++i) messages.push_back({"facts.kill", Fact(std::to_string(i))});
  for (const auto& r : (*publisher)->PublishBatch(std::span(messages).first(100))) REQUIRE(r.ok());
  REQUIRE((*server)->Kill().ok());
  CHECK_FALSE((*publisher)->Publish("facts.kill", messages[100].event, absl::Now() + absl::Milliseconds(50)).ok());
  REQUIRE((*server)->Restart().ok());
  // The same batch again, and the rest, as a relay that saw an error would.
  for (const auto& r : (*publisher)->PublishBatch(messages, absl::Now() + absl::Seconds(20))) CHECK(r.ok());
  const auto state = GetStreamState(**c, kFactsStream);
  REQUIRE(state.ok());
  CHECK(state->messages == 200);
  CHECK((*c)->reconnects() >= 1);
}

}  // namespace vedette::messaging
