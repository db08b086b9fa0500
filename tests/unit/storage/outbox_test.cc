#include "storage/outbox.h"

#include <absl/synchronization/notification.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <set>
#include <thread>

#include "base/status.h"
#include "unit/storage/fixture.h"

namespace vedette::storage {
namespace {

/// A receiver that keeps what it got, once per id, as JetStream does.
class Receiver {
 public:
  std::vector<absl::Status> Take(std::span<const OutboxMessage> batch) {
    const std::lock_guard lock(mutex_);
    std::vector<absl::Status> out;
    for (const OutboxMessage& m : batch) {
      absl::Status s = answer ? answer(m) : absl::OkStatus();
      if (s.ok()) {
        ++deliveries_;
        if (ids_.insert(m.tenant + "/" + m.id).second) order_.push_back(m);
      }
      out.push_back(std::move(s));
    }
    return out;
  }
  OutboxPublisher Port() {
    return [this](std::span<const OutboxMessage> b) { return Take(b); };
  }
  std::vector<OutboxMessage> got() {
    const std::lock_guard lock(mutex_);
    return order_;
  }
  int deliveries() {
    const std::lock_guard lock(mutex_);
    return deliveries_;
  }
  std::function<absl::Status(const OutboxMessage&)> answer;

 private:
  std::mutex mutex_;
  std::set<std::string> ids_;
  std::vector<OutboxMessage> order_;
  int deliveries_ = 0;
};

absl::Status AddMany(Pool& pool, std::string_view tenant, int from, int count) {
  return InTenant(pool, tenant, [&](Tx& tx) -> absl::Status {
    for (int i = from; i < from + count; ++i) {
      RETURN_IF_ERROR(Outbox::Add(tx, {.id = std::to_string(i),
                                       .subject = "facts.note.added",
                                       .type = "note",
                                       .payload = std::string("\0\xff", 2),
                                       .headers = {{"subject", "notes/" + std::to_string(i)}}})
                          .status());
    }
    return absl::OkStatus();
  });
}

}  // namespace

TEST_CASE("the outbox publishes what was committed, in order, once") {
  const auto db = Notes();
  Receiver receiver;
  OutboxRelay relay(db.pool.get(), receiver.Port(), {.batch = 4});
  CHECK(*relay.RunOnce() == 0);
  REQUIRE(AddMany(*db.pool, "t1", 0, 6).ok());
  REQUIRE(AddMany(*db.pool, "t1", 5, 2).ok());  // 5 again: dropped
  CHECK_FALSE(InTenant(*db.pool, "t1", [](Tx& tx) -> absl::Status {
                (void)Outbox::Add(tx, {.subject = "s", .type = "t"});
                return absl::CancelledError("rolled back");
              }).ok());
  CHECK(*relay.RunOnce() == 4);
  CHECK(*relay.RunOnce() == 3);
  CHECK(*relay.RunOnce() == 0);
  const auto got = receiver.got();
  REQUIRE(got.size() == 7);
  for (int i = 0; i < 7; ++i) CHECK(got[static_cast<size_t>(i)].id == std::to_string(i));
  CHECK(got[0].tenant == "t1");
  CHECK(got[0].payload == std::string("\0\xff", 2));
  CHECK(got[3].headers == std::map<std::string, std::string>{{"subject", "notes/3"}});
  CHECK(absl::Now() - got[0].created_at < absl::Minutes(10));
}

TEST_CASE("a receiver that is away or refuses") {
  const auto db = Notes();
  Receiver receiver;
  OutboxRelay relay(db.pool.get(), receiver.Port());
  REQUIRE(AddMany(*db.pool, "t1", 0, 3).ok());
  receiver.answer = [](const OutboxMessage&) { return absl::UnavailableError("away"); };
  CHECK(absl::IsUnavailable(relay.RunOnce().status()));
  receiver.answer = [](const OutboxMessage& m) {
    return m.id == "1" ? absl::InvalidArgumentError("too large") : absl::OkStatus();
  };
  CHECK(*relay.RunOnce() == 3);
  CHECK(*relay.RunOnce() == 0);
  CHECK(receiver.got().size() == 2);
  CHECK(
      *Count(*db.pool, "t1",
             "select count(*) from outbox where failed_at is not null and last_error = 'too large' and attempts = 2") ==
      1);
}

TEST_CASE("two relays share the work") {
  const auto db = Notes();
  Receiver receiver;
  REQUIRE(AddMany(*db.pool, "t1", 0, 300).ok());
  OutboxRelay a(db.pool.get(), receiver.Port(), {.batch = 7}), b(db.pool.get(), receiver.Port(), {.batch = 7});
  const auto drain = [](OutboxRelay& r) {
    while (true) {
      const auto n = r.RunOnce();
      REQUIRE(n.ok());
      if (*n == 0) return;
    }
  };
  {
    const std::jthread ta([&] { drain(a); }), tb([&] { drain(b); });
  }
  CHECK(receiver.got().size() == 300);
  CHECK(receiver.deliveries() == 300);
}

TEST_CASE("the inbox lets a message in once") {
  const auto db = Notes();
  const auto handle = [&](std::string_view tenant, std::string_view id, bool fail) {
    bool first = false;
    (void)InTenant(*db.pool, tenant, [&](Tx& tx) -> absl::Status {
      ASSIGN_OR_RETURN(first, Inbox::FirstTime(tx, "consumer", id));
      return fail ? absl::InternalError("the work failed") : absl::OkStatus();
    });
    return first;
  };
  CHECK(handle("t1", "m1", true));
  CHECK(handle("t1", "m1", false));
  CHECK_FALSE(handle("t1", "m1", false));
  CHECK(handle("t2", "m1", false));
}

TEST_CASE("the relay survives the database being killed") {
  // A server of its own: the shared one must live on for the other tests.
  const testing::TempDir dir;
  const std::string secret = "0123456789abcdef";
  auto server =
      devcluster::PostgresServer::Start({.data_dir = dir.path() + "/pg", .password = secret, .durable = false});
  REQUIRE(server.ok());
  devcluster::PostgresServer& pg = **server;
  REQUIRE(Bootstrap(pg.Conninfo(), "vedette", {{"demo-notes", secret, secret}}).ok());
  REQUIRE(Migrator(pg.Conninfo("vedette", "demo_notes_owner", secret), "demo_notes", kNotes).Up().ok());
  Pool pool(pg.Conninfo("vedette", "demo_notes_app", secret), 4);
  REQUIRE(AddMany(pool, "t1", 0, 50).ok());

  Receiver receiver;
  absl::Notification first_batch, killed;
  receiver.answer = [&](const OutboxMessage&) {
    // The first batch is published, but the database dies before it can be marked.
    if (!first_batch.HasBeenNotified()) {
      first_batch.Notify();
      killed.WaitForNotification();
    }
    return absl::OkStatus();
  };
  OutboxRelay relay(&pool, receiver.Port(),
                    {.batch = 20, .poll = absl::Milliseconds(5), .max_backoff = absl::Milliseconds(50)});
  std::jthread runner([&](std::stop_token stop) { relay.Run(stop); });
  first_batch.WaitForNotification();
  REQUIRE(pg.Kill().ok());
  killed.Notify();
  REQUIRE(pg.Restart().ok());
  REQUIRE(AddMany(pool, "t1", 50, 10).ok());
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  const auto waiting = [&] {
    return Count(pool, "t1", "select count(*) from outbox where published_at is null").value_or(-1);
  };
  while (waiting() != 0 && absl::Now() < deadline) std::this_thread::yield();
  CHECK(waiting() == 0);
  runner.request_stop();
  runner.join();
  CHECK(receiver.got().size() == 60);  // nothing lost
  CHECK(receiver.deliveries() == 80);  // the unmarked batch came twice, with the same ids
}

}  // namespace vedette::storage
