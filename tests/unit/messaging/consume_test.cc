#include "messaging/consume.h"

#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <thread>

#include "base/ids.h"
#include "base/status.h"
#include "messaging/internal.h"
#include "messaging/publish.h"
#include "messaging/streams.h"
#include "support/support.h"

namespace vedette::messaging {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

CloudEvent Event(std::string id, std::string data = "data") {
  return {.id = std::move(id), .source = "vedette/test", .type = "test.v1", .tenant = "t1", .data = std::move(data)};
}

void Publish(Connection& c, const std::string& subject, int from, int to) {
  const auto publisher = Publisher::Create(&c);
  REQUIRE(publisher.ok());
  std::vector<OutgoingMessage> batch;
  for (int i = from; i < to; ++i) batch.push_back({subject, Event(std::to_string(i))});
  for (const auto& r : (*publisher)->PublishBatch(batch)) REQUIRE(r.ok());
}

ConsumerOptions Worker(std::string durable = "workers") {
  return {.stream = kWorkStream,
          .durable = std::move(durable),
          .filter = "work.test.>",
          .ack_wait = absl::Seconds(5),
          .fetch_wait = absl::Milliseconds(50)};
}

/// For a test that waits until what a dead worker held is given to another.
ConsumerOptions Mortal() {
  ConsumerOptions o = Worker();
  o.ack_wait = absl::Seconds(1);
  return o;
}

/// Counts what a handler saw, and lets a test wait for it.
class Log {
 public:
  void Add(const Message& m) {
    const absl::MutexLock lock(&mutex_);
    ++seen_[m.event.id];
    ++total_;
    last_ = m;
    most_deliveries_ = std::max(most_deliveries_, m.deliveries);
  }
  int most_deliveries() {
    const absl::MutexLock lock(&mutex_);
    return most_deliveries_;
  }
  bool WaitForDistinct(size_t n) {
    const absl::MutexLock lock(&mutex_);
    const auto enough = [&] { return seen_.size() >= n; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
  }
  bool WaitForTotal(int n) {
    const absl::MutexLock lock(&mutex_);
    const auto enough = [&] { return total_ >= n; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
  }
  std::map<std::string, int> seen() {
    const absl::MutexLock lock(&mutex_);
    return seen_;
  }
  int total() {
    const absl::MutexLock lock(&mutex_);
    return total_;
  }
  Message last() {
    const absl::MutexLock lock(&mutex_);
    return last_;
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, int> seen_;
  int total_ = 0, most_deliveries_ = 0;
  Message last_;
};

/// A consumer running on a thread of its own until this object goes.
class Running {
 public:
  Running(Connection* c, ConsumerOptions options, Handler handler) : handler_(std::move(handler)) {
    auto made = PullConsumer::Create(c, std::move(options));
    REQUIRE(made.ok());
    consumer_ = *std::move(made);
    thread_ = std::jthread([this](std::stop_token stop) { result_ = consumer_->Run(stop, handler_); });
  }
  absl::Status Stop() {
    thread_.request_stop();
    thread_.join();
    return result_;
  }
  PullConsumer& consumer() { return *consumer_; }

 private:
  Handler handler_;
  std::unique_ptr<PullConsumer> consumer_;
  absl::Status result_;
  std::jthread thread_;
};

bool Until(const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!done()) {
    if (absl::Now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

/// The dead letters, as an operator's program would read them.
std::vector<Message> DeadLetters(Connection* c, size_t n) {
  Log log;
  absl::Mutex mutex;
  std::vector<Message> out;
  Running reader(
      c, {.stream = kDeadLetterStream, .durable = "reader", .filter = "dlq.>", .fetch_wait = absl::Milliseconds(50)},
      [&](const Message& m, std::stop_token) {
        {
          const absl::MutexLock lock(&mutex);
          out.push_back(m);
        }
        log.Add(m);
        return Outcome::Ack();
      });
  CHECK(log.WaitForTotal(static_cast<int>(n)));
  CHECK(reader.Stop().ok());
  return out;
}

std::string Header(const Message& m, std::string_view name) {
  for (const auto& [k, v] : m.headers) {
    if (k == name) return v;
  }
  return "";
}

int64_t Left(Connection& c, const char* stream) {
  const auto s = GetStreamState(c, stream);
  return s.ok() ? s->messages : -1;
}

}  // namespace

TEST_CASE("every message is handled once, by several handlers at a time") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "work.test.a", 0, 500);
  Log log;
  ConsumerOptions options = Worker();
  options.concurrency = 8;
  Running running(c.get(), options, [&](const Message& m, std::stop_token) {
    log.Add(m);
    return Outcome::Ack();
  });
  REQUIRE(log.WaitForDistinct(500));
  CHECK(Until([&] { return Left(*c, kWorkStream) == 0; }));
  CHECK(running.Stop().ok());
  CHECK(log.total() == 500);
  const Message m = log.last();
  CHECK(m.event.tenant == "t1");
  CHECK(m.event.data == "data");
  CHECK(m.subject == "work.test.a");
  CHECK(m.deliveries == 1);
  CHECK(m.stream_sequence > 0);
}

TEST_CASE("messages that come while the consumer waits") {
  const auto c = testing::NewNatsConnection();
  Log log;
  ConsumerOptions options = Worker();
  options.concurrency = 4;
  Running running(c.get(), options, [&](const Message& m, std::stop_token) {
    log.Add(m);
    return Outcome::Ack();
  });
  for (int i = 0; i < 20; ++i) {
    Publish(*c, "work.test.a", i, i + 1);
    REQUIRE(log.WaitForTotal(i + 1));
  }
  CHECK(running.Stop().ok());
  CHECK(log.total() == 20);
}

TEST_CASE("retry, then success") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "work.test.a", 0, 1);
  Log log;
  Running running(c.get(), Worker(), [&](const Message& m, std::stop_token) {
    log.Add(m);
    return m.deliveries < 3 ? Outcome::Retry(absl::Milliseconds(10), "not yet") : Outcome::Ack();
  });
  REQUIRE(log.WaitForTotal(3));
  CHECK(Until([&] { return Left(*c, kWorkStream) == 0; }));
  CHECK(running.Stop().ok());
  CHECK(log.last().deliveries == 3);
  CHECK(Left(*c, kDeadLetterStream) == 0);
}

TEST_CASE("what cannot be handled becomes a dead letter, once, with its reason") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "work.test.a", 0, 3);
  // Not a CloudEvent at all, from a foreign publisher.
  REQUIRE(natsConnection_PublishString(c->impl().nc, "work.test.a", "hello") == NATS_OK);
  ConsumerOptions options = Worker();
  options.max_deliver = 2;
  Running running(c.get(), options, [&](const Message& m, std::stop_token) -> Outcome {
    if (m.event.id == "0") return Outcome::Poison("the file\nis no workbook");
    if (m.event.id == "1") return Outcome::Retry(absl::Milliseconds(1), "the database is away");
    throw std::runtime_error("from a library");
  });
  const std::vector<Message> dead = DeadLetters(c.get(), 4);
  CHECK(running.Stop().ok());
  REQUIRE(dead.size() == 4);
  std::map<std::string, const Message*> by_id;
  for (const Message& m : dead) by_id[m.event.id] = &m;
  CHECK(by_id["0"]->subject == "dlq.work.test.a");
  CHECK(by_id["0"]->event.data == "data");
  CHECK(by_id["0"]->event.tenant == "t1");
  CHECK(Header(*by_id["0"], kDeadLetterReason) == "the file is no workbook");
  CHECK(Header(*by_id["0"], kDeadLetterConsumer) == "workers");
  CHECK(Header(*by_id["0"], kDeadLetterDeliveries) == "1");
  CHECK(Header(*by_id["1"], kDeadLetterReason) == "gave up after 2 deliveries: the database is away");
  CHECK(Header(*by_id["2"], kDeadLetterReason) == "gave up after 2 deliveries: exception: from a library");
  CHECK(Until([&] { return Left(*c, kWorkStream) == 0; }));
  CHECK(Until([&] { return Left(*c, kAdvisoriesStream) == 4; }));
}

TEST_CASE("a handler may take longer than ack_wait") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "work.test.a", 0, 1);
  Log log;
  ConsumerOptions options = Worker();
  options.ack_wait = absl::Seconds(1);
  options.concurrency = 2;  // the second would get it if it were delivered again
  Running running(c.get(), options, [&](const Message& m, std::stop_token) {
    log.Add(m);
    const absl::Time end = absl::Now() + absl::Milliseconds(2500);
    while (absl::Now() < end) absl::SleepFor(absl::Milliseconds(50));
    return Outcome::Ack();
  });
  REQUIRE(log.WaitForTotal(1));
  CHECK(Until([&] { return Left(*c, kWorkStream) == 0; }));
  CHECK(running.Stop().ok());
  CHECK(log.total() == 1);
}

TEST_CASE("the process that the next test kills", "[.victim]") {
  const auto c = Connection::Connect({.url = std::getenv("VICTIM_URL"), .token = std::getenv("VICTIM_TOKEN")});
  REQUIRE(c.ok());
  const auto consumer = PullConsumer::Create(c->get(), Mortal());
  REQUIRE(consumer.ok());
  (void)(*consumer)->Run({}, [&](const Message&, std::stop_token) {
    while (true) ::pause();
    return Outcome::Ack();
  });
}

TEST_CASE("a consumer that dies leaves its messages to the next") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "work.test.a", 0, 3);
  // A process takes a message, and is killed while it works on it.
  const testing::TempDir dir;
  auto victim = devcluster::Process::Spawn(
      {.argv = {"/proc/self/exe", "[victim]"},
       .env = {"VICTIM_URL=" + testing::SharedNats().Url(), "VICTIM_TOKEN=" + testing::SharedNats().token()},
       .log_file = dir.path() + "/victim.log"});
  REQUIRE(victim.ok());
  {
    const auto watch = PullConsumer::Create(c.get(), Mortal());
    REQUIRE(watch.ok());
    REQUIRE(Until([&] {
      const auto lag = (*watch)->lag();
      return lag.ok() && lag->unacknowledged == 1;
    }));
  }
  REQUIRE(victim->Stop(SIGKILL, kPatience).ok());

  Log log;
  Running running(c.get(), Mortal(), [&](const Message& m, std::stop_token) {
    log.Add(m);
    return Outcome::Ack();
  });
  REQUIRE(log.WaitForDistinct(3));
  CHECK(Until([&] { return Left(*c, kWorkStream) == 0; }));
  CHECK(running.Stop().ok());
  CHECK(log.most_deliveries() >= 2);
}

TEST_CASE("a message whose worker dies every time ends among the dead letters") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "work.test.a", 0, 1);
  ConsumerOptions options = Worker();
  options.max_deliver = 1;
  options.ack_wait = absl::Milliseconds(200);
  {
    // Stands for the worker that died: it took the message once and never answered.
    Log log;
    ConsumerOptions more = options;
    more.max_deliver = 100;  // however late it is stopped
    Running first(c.get(), more, [&](const Message& m, std::stop_token) {
      log.Add(m);
      return Outcome::Retry(absl::Milliseconds(200), "");
    });
    REQUIRE(log.WaitForTotal(1));
    (void)first.Stop();
  }
  std::atomic<int> handled{0};
  Running running(c.get(), options, [&](const Message&, std::stop_token) {
    ++handled;
    return Outcome::Ack();
  });
  const std::vector<Message> dead = DeadLetters(c.get(), 1);
  CHECK(handled == 0);
  CHECK(Header(dead[0], kDeadLetterReason).find("its worker ended each time") != std::string::npos);
  CHECK(Until([&] { return Left(*c, kWorkStream) == 0; }));
}

TEST_CASE("the consumer survives kill -9 of the server: nothing lost, nothing left") {
  const testing::TempDir dir;
  auto server = devcluster::NatsServer::Start({.data_dir = dir.path() + "/nats", .token = RandomHex(16)});
  REQUIRE(server.ok());
  const auto connected = Connection::Connect(
      {.url = (*server)->Url(), .token = (*server)->token(), .max_reconnect_wait = absl::Milliseconds(100)});
  REQUIRE(connected.ok());
  Connection* c = connected->get();
  REQUIRE(EnsureOurStreams(*c).ok());
  Publish(*c, "work.test.a", 0, 100);
  Log log;
  absl::Notification half, restarted;
  std::atomic<int> handled{0};
  ConsumerOptions options = Worker();
  options.concurrency = 2;
  Running running(c, options, [&](const Message& m, std::stop_token) {
    log.Add(m);
    if (++handled == 50) {
      half.Notify();
      restarted.WaitForNotification();
    }
    return Outcome::Ack();
  });
  half.WaitForNotification();
  REQUIRE((*server)->Kill().ok());
  REQUIRE((*server)->Restart().ok());
  restarted.Notify();
  REQUIRE(Until([&] { return c->IsConnected(); }));
  Publish(*c, "work.test.a", 100, 150);
  REQUIRE(log.WaitForDistinct(150));
  CHECK(Until([&] { return Left(*c, kWorkStream) == 0; }));
  CHECK(running.Stop().ok());
  // The server writes what was acknowledged a moment later, so what was handled just before it was killed may come
  // again, once; what came after it did not.
  for (const auto& [id, times] : log.seen()) {
    INFO(id);
    CHECK(times <= (std::stoi(id) < 100 ? 2 : 1));
  }
}

TEST_CASE("facts reach every service, each at its own pace, work queues have one owner") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "facts.test.a", 0, 10);
  const ConsumerOptions base{.stream = kFactsStream, .filter = "facts.test.>", .fetch_wait = absl::Milliseconds(50)};
  Log first, second, late;
  const auto into = [](Log& log) {
    return [&log](const Message& m, std::stop_token) {
      log.Add(m);
      return Outcome::Ack();
    };
  };
  ConsumerOptions a = base, b = base, from_now = base;
  a.durable = "a";
  b.durable = "b";
  from_now.durable = "c";
  from_now.from_now = true;
  Running ra(c.get(), a, into(first)), rb(c.get(), b, into(second)), rc(c.get(), from_now, into(late));
  CHECK(first.WaitForDistinct(10));
  CHECK(second.WaitForDistinct(10));
  Publish(*c, "facts.test.a", 10, 11);
  CHECK(late.WaitForDistinct(1));
  CHECK(first.WaitForDistinct(11));
  CHECK(late.seen() == std::map<std::string, int>{{"10", 1}});
  CHECK(Left(*c, kFactsStream) == 11);
  CHECK(Until([&] {
    const auto lag = ra.consumer().lag();
    return lag.ok() && lag->waiting == 0 && lag->unacknowledged == 0;
  }));

  REQUIRE(PullConsumer::Create(c.get(), Worker("one")).ok());
  REQUIRE(PullConsumer::Create(c.get(), Worker("one")).ok());
  CHECK(absl::IsFailedPrecondition(PullConsumer::Create(c.get(), Worker("two")).status()));
  ConsumerOptions slower = Worker("one");
  slower.ack_wait = absl::Seconds(5);
  CHECK(PullConsumer::Create(c.get(), slower).ok());
  ConsumerOptions bad = Worker("a.b");
  CHECK(absl::IsInvalidArgument(PullConsumer::Create(c.get(), bad).status()));
}

TEST_CASE("stopping gives back what was not handled") {
  const auto c = testing::NewNatsConnection();
  Publish(*c, "work.test.a", 0, 5);
  absl::Notification started;
  std::atomic<int> handled{0};
  Running running(c.get(), Worker(), [&](const Message&, std::stop_token stop) {
    if (handled++ == 0) started.Notify();
    while (!stop.stop_requested()) std::this_thread::yield();
    return Outcome::Retry(absl::ZeroDuration(), "stopping");
  });
  started.WaitForNotification();
  CHECK(running.Stop().ok());
  CHECK(handled == 1);
  Log log;
  Running next(c.get(), Worker(), [&](const Message& m, std::stop_token) {
    log.Add(m);
    return Outcome::Ack();
  });
  CHECK(log.WaitForDistinct(5));
  CHECK(next.Stop().ok());
}

TEST_CASE("statuses become outcomes") {
  CHECK(Outcome::FromStatus(absl::OkStatus(), 1).kind == Outcome::Kind::kAck);
  CHECK(Outcome::FromStatus(absl::AlreadyExistsError(""), 1).kind == Outcome::Kind::kAck);
  CHECK(Outcome::FromStatus(absl::InvalidArgumentError("x"), 1).kind == Outcome::Kind::kPoison);
  CHECK(Outcome::FromStatus(absl::UnavailableError("x"), 1).delay == absl::Milliseconds(200));
  CHECK(Outcome::FromStatus(absl::UnavailableError("x"), 4).delay == absl::Milliseconds(1600));
  CHECK(Outcome::FromStatus(absl::UnavailableError("x"), 1000).delay == absl::Seconds(60));
}

}  // namespace vedette::messaging
