#include "messaging/counters.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <limits>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "messaging/internal.h"
#include "messaging/publish.h"
#include "messaging/streams.h"
#include "support/support.h"

namespace vedette::messaging {
namespace {

std::unique_ptr<Counters> OpenCounters(Connection& c, absl::Duration answer_within = absl::Seconds(20)) {
  auto counters = Counters::Open(&c, {.bucket = "test_counters", .answer_within = answer_within});
  INFO(counters.status());
  REQUIRE(counters.ok());
  return *std::move(counters);
}

}  // namespace

TEST_CASE("counters: what several processes add at the same time is all there") {
  const auto a = testing::NewNatsConnection(), b = testing::NewNatsConnection();
  const auto one = OpenCounters(*a), two = OpenCounters(*b);
  const std::string key = NewUuid();
  constexpr int kEach = 25;
  std::vector<std::jthread> threads;
  for (Counters* counters : {one.get(), two.get(), one.get(), two.get()}) {
    threads.emplace_back([&key, counters] {
      for (int i = 0; i < kEach; ++i) {
        if (!counters->Add(key, 2).ok()) std::abort();  // assertions belong to the test's own thread
      }
    });
  }
  threads.clear();
  CHECK(one->Add(key, 0).value() == 4 * kEach * 2);
  CHECK(two->Add(key, -8).value() == 4 * kEach * 2 - 8);
  CHECK(one->Add(NewUuid(), 3).value() == 3);
}

TEST_CASE("counters: a limit is never passed, and what does not fit is not added") {
  const auto c = testing::NewNatsConnection();
  const auto counters = OpenCounters(*c);
  const std::string key = NewUuid();
  CHECK(counters->Add(key, 7, 10).value() == 7);
  CHECK(absl::IsResourceExhausted(counters->Add(key, 4, 10).status()));
  CHECK(counters->Add(key, 3, 10).value() == 10);
  CHECK(absl::IsResourceExhausted(counters->Add(key, std::numeric_limits<int64_t>::max()).status()));
  CHECK(counters->Add(key, -10).value() == 0);
  for (const char* wrong : {"", "a b", "a*", ".a"}) {
    INFO(wrong);
    CHECK_FALSE(counters->Add(wrong, 1).ok());
  }
  CHECK_FALSE(Counters::Open(c.get(), {.bucket = "no good"}).ok());
}

TEST_CASE("counters: they outlive a killed server, which is missed at once while it is away") {
  const testing::TempDir dir;
  auto server = devcluster::NatsServer::Start({.data_dir = dir.path() + "/nats", .token = RandomHex(16)});
  REQUIRE(server.ok());
  const auto c = Connection::Connect(
      {.url = (*server)->Url(), .token = (*server)->token(), .max_reconnect_wait = absl::Milliseconds(100)});
  REQUIRE(c.ok());
  const auto counters = OpenCounters(**c);
  CHECK(counters->Add("a", 5).value() == 5);
  REQUIRE((*server)->Kill().ok());
  absl::Status away;
  const absl::Time end = absl::Now() + absl::Seconds(30);
  do {
    away = counters->Add("a", 1, 5).status();  // its connection may not know yet
  } while (!absl::IsUnavailable(away) && absl::Now() < end);
  CHECK(absl::IsUnavailable(away));
  REQUIRE((*server)->Restart().ok());
  absl::StatusOr<int64_t> again = away;
  while (!again.ok() && absl::Now() < end) again = counters->Add("a", 1);
  CHECK(again.value() == 6);
}

TEST_CASE("counters: a server without room says so at once, and that is not the caller's limit") {
  const testing::TempDir dir;
  const auto server = devcluster::NatsServer::Start(
      {.data_dir = dir.path() + "/nats", .token = RandomHex(16), .max_file_bytes = 1 << 20});
  REQUIRE(server.ok());
  const auto c = Connection::Connect({.url = (*server)->Url(), .token = (*server)->token()});
  REQUIRE(c.ok());
  const auto counters = OpenCounters(**c);
  CHECK(counters->Add("a", 5).value() == 5);
  REQUIRE(EnsureStream(**c, {.name = "FILL", .subjects = {"fill.>"}}).ok());
  const auto publisher = Publisher::Create(c->get(), {});
  REQUIRE(publisher.ok());
  absl::Status full;
  for (int i = 0; i < 100 && full.ok(); ++i) {
    CloudEvent event;
    event.id = NewUuid();
    event.source = "test";
    event.type = "test.fill";
    event.data = std::string(100'000, 'x');
    full = (*publisher)->Publish("fill.a", event).status();
  }
  REQUIRE(absl::IsResourceExhausted(full));
  for (const char* key : {"a", "b"}) {
    const absl::Status status = counters->Add(key, 1).status();
    INFO(status);
    CHECK(absl::IsUnavailable(status));
    CHECK(status.message().find("insufficient") != std::string_view::npos);
  }
}

TEST_CASE("counters: one that was deleted by hand starts at 0 again") {
  const auto c = testing::NewNatsConnection();
  const auto counters = OpenCounters(*c);
  const std::string key = NewUuid();
  CHECK(counters->Add(key, 7).value() == 7);
  const auto marker = internal::MakeMessage("$KV.test_counters." + key, "", {{"KV-Operation", "DEL"}}, "");
  REQUIRE(marker.ok());
  REQUIRE(natsConnection_PublishMsg(c->impl().nc, marker->get()) == NATS_OK);
  REQUIRE(c->Flush(absl::Seconds(20)).ok());
  CHECK(counters->Add(key, 2).value() == 2);
  CHECK(counters->Add(key, 2).value() == 4);
}

}  // namespace vedette::messaging
