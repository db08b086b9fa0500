#include "messaging/consume.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <thread>
#include <vector>

#include "base/status.h"
#include "messaging/internal.h"
#include "messaging/streams.h"

namespace vedette::messaging {
namespace {

using internal::ConsumerInfoPtr;
using internal::MsgPtr;
// Shared: a message of the client library points at the subscription that brought it, and uses it to answer.
using SharedSub = std::shared_ptr<natsSubscription>;

constexpr absl::Duration kFirstPause = absl::Milliseconds(100), kLongestPause = absl::Seconds(2);
constexpr absl::Duration kDeadLetterPause = absl::Seconds(5);
constexpr int kAckAttempts = 3;

// A message on its way through this process. The keeper and the worker both talk to the server about it: `mutex`
// keeps "still working" from following "done".
struct Delivery {
  SharedSub sub;  // before `raw`, so that it goes after it
  MsgPtr raw;
  Message message;
  absl::Status parsed;
  absl::Mutex mutex;
  bool done ABSL_GUARDED_BY(mutex) = false;
};
using DeliveryPtr = std::shared_ptr<Delivery>;

}  // namespace

struct PullConsumer::State {
  Connection* connection = nullptr;
  ConsumerOptions options;

  // One call of Run.
  absl::Mutex mutex;
  std::deque<DeliveryPtr> queue ABSL_GUARDED_BY(mutex);
  std::vector<DeliveryPtr> active ABSL_GUARDED_BY(mutex);  // queued or in a handler: kept alive
  bool closing ABSL_GUARDED_BY(mutex) = false;

  jsCtx* js() const { return connection->impl().js; }
  void Report(const absl::Status& status) const {
    if (!status.ok() && options.on_error) options.on_error(status);
  }
  std::string What() const { return fmt::format("consumer {} of {}", options.durable, options.stream); }

  absl::Status Ensure();
  absl::StatusOr<SharedSub> Subscribe();
  absl::StatusOr<std::vector<DeliveryPtr>> Fetch(const SharedSub& sub, int most);
  DeliveryPtr Parse(natsMsg* raw) const;
  void Work(std::stop_token stop, const Handler& handler);
  void KeepAlive();
  Outcome Handle(const Delivery& d, std::stop_token stop, const Handler& handler) const;
  void Settle(Delivery& d, const Outcome& outcome);
  void Acknowledge(Delivery& d);
  absl::Status DeadLetter(const Delivery& d, const std::string& reason);
  void FetchLoop(std::stop_token stop, SharedSub sub);
};

namespace {

jsConsumerConfig ToConfig(const ConsumerOptions& o) {
  jsConsumerConfig c;
  jsConsumerConfig_Init(&c);
  c.Durable = o.durable.c_str();
  c.FilterSubject = o.filter.empty() ? nullptr : o.filter.c_str();
  c.AckPolicy = js_AckExplicit;
  c.DeliverPolicy = o.from_now ? js_DeliverNew : js_DeliverAll;
  c.AckWait = absl::ToInt64Nanoseconds(o.ack_wait);
  c.MaxDeliver = -1;  // counted here, see the class comment
  c.MaxAckPending = o.max_ack_pending;
  return c;
}

absl::StatusOr<ConsumerInfoPtr> GetInfo(Connection& c, const ConsumerOptions& o) {
  jsConsumerInfo* raw = nullptr;
  jsErrCode code{};
  const natsStatus s = js_GetConsumerInfo(&raw, c.impl().js, o.stream.c_str(), o.durable.c_str(), nullptr, &code);
  RETURN_IF_ERROR(
      internal::ToStatus(s, fmt::format("asking for consumer {} of {}", o.durable, o.stream), static_cast<int>(code)));
  return ConsumerInfoPtr(raw);
}

}  // namespace

absl::Status PullConsumer::State::Ensure() {
  jsConsumerConfig wanted = ToConfig(options);
  const absl::StatusOr<ConsumerInfoPtr> info = GetInfo(*connection, options);
  jsErrCode code{};
  if (absl::IsNotFound(info.status())) {
    const natsStatus s = js_AddConsumer(nullptr, js(), options.stream.c_str(), &wanted, nullptr, &code);
    return internal::ToStatus(s, "creating " + What(), static_cast<int>(code));
  }
  RETURN_IF_ERROR(info.status());
  const jsConsumerConfig& have = *(*info)->Config;
  const std::string_view filter = have.FilterSubject == nullptr ? "" : have.FilterSubject;
  if (filter == options.filter && have.AckWait == wanted.AckWait && have.MaxAckPending == wanted.MaxAckPending &&
      have.MaxDeliver == wanted.MaxDeliver) {
    return absl::OkStatus();
  }
  wanted.DeliverPolicy = have.DeliverPolicy;  // where it started cannot be changed, nor does it matter any more
  const natsStatus s = js_UpdateConsumer(nullptr, js(), options.stream.c_str(), &wanted, nullptr, &code);
  return internal::ToStatus(s, "updating " + What(), static_cast<int>(code));
}

absl::StatusOr<SharedSub> PullConsumer::State::Subscribe() {
  jsSubOptions so;
  jsSubOptions_Init(&so);
  so.Stream = options.stream.c_str();
  so.Consumer = options.durable.c_str();
  so.ManualAck = true;
  natsSubscription* raw = nullptr;
  jsErrCode code{};
  const char* subject = options.filter.empty() ? nullptr : options.filter.c_str();
  const natsStatus s = js_PullSubscribe(&raw, js(), subject, options.durable.c_str(), nullptr, &so, &code);
  RETURN_IF_ERROR(internal::ToStatus(s, "subscribing to " + What(), static_cast<int>(code)));
  return SharedSub(raw, natsSubscription_Destroy);
}

DeliveryPtr PullConsumer::State::Parse(natsMsg* raw) const {
  auto d = std::make_shared<Delivery>();
  d->raw.reset(raw);
  d->message.subject = natsMsg_GetSubject(raw);
  d->message.headers = internal::HeadersOf(raw);
  jsMsgMetaData* meta = nullptr;
  if (natsMsg_GetMetaData(&meta, raw) == NATS_OK) {
    const internal::MetaDataPtr owned(meta);
    d->message.deliveries = static_cast<int>(std::min<uint64_t>(meta->NumDelivered, INT32_MAX));
    d->message.stream_sequence = meta->Sequence.Stream;
    d->message.stored_at = absl::FromUnixNanos(meta->Timestamp);
  }
  absl::StatusOr<CloudEvent> event = FromHeaders(d->message.headers, internal::DataOf(raw));
  if (event.ok()) {
    d->message.event = *std::move(event);
  } else if (options.stream == kDeadLetterStream) {
    d->message.event.data = internal::DataOf(raw);  // a dead letter may be anything; its reader decides
  } else {
    d->parsed = event.status();
  }
  return d;
}

absl::StatusOr<std::vector<DeliveryPtr>> PullConsumer::State::Fetch(const SharedSub& sub, int most) {
  natsMsgList list{};
  const natsStatus s = natsSubscription_Fetch(
      &list, sub.get(), most, std::max<int64_t>(10, absl::ToInt64Milliseconds(options.fetch_wait)), nullptr);
  std::vector<DeliveryPtr> out;
  for (int i = 0; i < list.Count; ++i) {
    out.push_back(Parse(list.Msgs[i]));
    out.back()->sub = sub;
    list.Msgs[i] = nullptr;
  }
  natsMsgList_Destroy(&list);
  if (out.empty() && s != NATS_OK && s != NATS_TIMEOUT) return internal::ToStatus(s, "fetching from " + What());
  return out;
}

Outcome PullConsumer::State::Handle(const Delivery& d, std::stop_token stop, const Handler& handler) const {
  if (!d.parsed.ok()) return Outcome::Poison(std::string(vedette::Message(d.parsed)));
  if (d.message.deliveries > options.max_deliver) {
    return Outcome::Poison(
        fmt::format("delivered {} times without an answer; its worker ended each time", options.max_deliver));
  }
  // The handler is a task at the edge of our code: what its libraries throw must not end the process.
  try {
    return handler(d.message, std::move(stop));
  } catch (const std::exception& e) {
    return Outcome::Retry(absl::Seconds(1), fmt::format("exception: {}", e.what()));
  } catch (...) {
    return Outcome::Retry(absl::Seconds(1), "exception of an unknown type");
  }
}

void PullConsumer::State::Acknowledge(Delivery& d) {
  // The server confirms; a lost confirmation means a redelivery, which handlers must bear anyway.
  natsStatus s = NATS_OK;
  for (int i = 0; i < kAckAttempts; ++i) {
    jsErrCode code{};
    s = natsMsg_AckSync(d.raw.get(), nullptr, &code);
    if (s == NATS_OK) return;
  }
  Report(internal::ToStatus(s, "acknowledging to " + What()));
}

absl::Status PullConsumer::State::DeadLetter(const Delivery& d, const std::string& reason) {
  Headers headers;
  for (const auto& h : d.message.headers) {
    if (!h.first.starts_with("Nats-")) headers.push_back(h);
  }
  std::string one_line = reason.substr(0, 1000);
  std::replace_if(
      one_line.begin(), one_line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  headers.emplace_back(kDeadLetterReason, one_line.empty() ? "no reason given" : one_line);
  headers.emplace_back(kDeadLetterStreamHeader, options.stream);
  headers.emplace_back(kDeadLetterConsumer, options.durable);
  headers.emplace_back(kDeadLetterDeliveries, std::to_string(d.message.deliveries));
  headers.emplace_back(kDeadLetterSequence, std::to_string(d.message.stream_sequence));
  // The store time tells a message apart from one with the same number in a stream that was made anew.
  headers.emplace_back("Nats-Msg-Id", fmt::format("dlq/{}/{}/{}/{}", options.stream, options.durable,
                                                  d.message.stream_sequence, absl::ToUnixNanos(d.message.stored_at)));
  const std::string data = internal::DataOf(d.raw.get());
  for (const std::string_view body : {std::string_view(data), std::string_view()}) {
    // Second round: the added headers made it larger than the server takes; the headers alone still say what happened.
    ASSIGN_OR_RETURN(const MsgPtr msg, internal::MakeMessage("dlq." + d.message.subject, "", headers, body));
    jsErrCode code{};
    const natsStatus s = js_PublishMsg(nullptr, js(), msg.get(), nullptr, &code);
    if (s == NATS_MAX_PAYLOAD && !body.empty()) continue;
    return internal::ToStatus(s, fmt::format("dead letter of {}", What()), static_cast<int>(code));
  }
  return absl::OkStatus();
}

void PullConsumer::State::Settle(Delivery& d, const Outcome& outcome) {
  absl::MutexLock lock(&d.mutex);
  d.done = true;
  const bool give_up = outcome.kind == Outcome::Kind::kRetry && d.message.deliveries >= options.max_deliver;
  if (outcome.kind == Outcome::Kind::kAck) return Acknowledge(d);
  if (outcome.kind == Outcome::Kind::kRetry && !give_up) {
    const int64_t ms = std::max<int64_t>(0, absl::ToInt64Milliseconds(outcome.delay));
    const natsStatus s = ms > 0 ? natsMsg_NakWithDelay(d.raw.get(), ms, nullptr) : natsMsg_Nak(d.raw.get(), nullptr);
    return Report(internal::ToStatus(s, "giving back to " + What()));
  }
  const std::string reason =
      give_up ? fmt::format("gave up after {} deliveries: {}", d.message.deliveries, outcome.reason) : outcome.reason;
  // A dead letter that its reader cannot handle stays where it is; it must not breed another one.
  const absl::Status stored = options.stream == kDeadLetterStream ? absl::OkStatus() : DeadLetter(d, reason);
  if (stored.ok())
    return Report(internal::ToStatus(natsMsg_Term(d.raw.get(), nullptr), "ending a message of " + What()));
  Report(stored);
  natsMsg_NakWithDelay(d.raw.get(), absl::ToInt64Milliseconds(kDeadLetterPause), nullptr);
}

void PullConsumer::State::Work(std::stop_token stop, const Handler& handler) {
  while (true) {
    DeliveryPtr d;
    {
      absl::MutexLock lock(&mutex);
      const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex) { return closing || !queue.empty(); };
      mutex.Await(absl::Condition(&ready));
      if (queue.empty()) return;
      d = std::move(queue.front());
      queue.pop_front();
    }
    if (stop.stop_requested()) {
      absl::MutexLock lock(&d->mutex);
      d->done = true;
      natsMsg_Nak(d->raw.get(), nullptr);
    } else {
      const absl::Time start = absl::Now();
      const Outcome outcome = Handle(*d, stop, handler);
      const absl::Duration took = absl::Now() - start;
      Settle(*d, outcome);
      if (options.on_handled) options.on_handled(d->message, outcome, took);
    }
    absl::MutexLock lock(&mutex);
    std::erase(active, d);
  }
}

void PullConsumer::State::KeepAlive() {
  while (true) {
    std::vector<DeliveryPtr> now;
    {
      absl::MutexLock lock(&mutex);
      const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex) { return closing && active.empty(); };
      if (mutex.AwaitWithTimeout(absl::Condition(&over), options.ack_wait / 3)) return;
      now = active;
    }
    for (const DeliveryPtr& d : now) {
      // Whoever holds it is settling the message at this moment.
      if (!d->mutex.TryLock()) continue;
      if (!d->done) natsMsg_InProgress(d->raw.get(), nullptr);
      d->mutex.Unlock();
    }
  }
}

void PullConsumer::State::FetchLoop(std::stop_token stop, SharedSub sub) {
  const std::stop_callback waker(stop, [this] { absl::MutexLock lock(&mutex); });  // re-evaluates the conditions below
  absl::Duration pause = kFirstPause;
  const auto stopping = [&stop] { return stop.stop_requested(); };
  while (!stop.stop_requested()) {
    int room = 0;
    {
      absl::MutexLock lock(&mutex);
      const auto free = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex) {
        return stop.stop_requested() || static_cast<int>(active.size()) < options.concurrency;
      };
      mutex.Await(absl::Condition(&free));
      room = options.concurrency - static_cast<int>(active.size());
    }
    if (stop.stop_requested()) break;
    absl::Status status;
    if (sub == nullptr) {
      // The consumer or its stream may have gone with the server's disk; the durable then starts anew.
      status = Ensure();
      if (status.ok()) {
        absl::StatusOr<SharedSub> again = Subscribe();
        status = again.status();
        if (again.ok()) sub = *std::move(again);
      }
    }
    if (status.ok()) {
      absl::StatusOr<std::vector<DeliveryPtr>> batch = Fetch(sub, room);
      status = batch.status();
      if (batch.ok()) {
        pause = kFirstPause;
        absl::MutexLock lock(&mutex);
        for (DeliveryPtr& d : *batch) {
          active.push_back(d);
          queue.push_back(std::move(d));
        }
        continue;
      }
      // While the connection is away the subscription stays good: the library renews it.
      if (connection->IsConnected()) sub.reset();
    }
    Report(status);
    absl::MutexLock lock(&mutex);
    mutex.AwaitWithTimeout(absl::Condition(&stopping), pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

PullConsumer::PullConsumer(std::unique_ptr<State> state) : state_(std::move(state)) {}
PullConsumer::~PullConsumer() = default;

absl::StatusOr<std::unique_ptr<PullConsumer>> PullConsumer::Create(Connection* connection, ConsumerOptions options) {
  if (options.stream.empty() || options.durable.empty())
    return InvalidArgument("a consumer needs a stream and a durable name");
  if (options.durable.find_first_of(" .*>\t/\\") != std::string::npos)
    return InvalidArgument("the durable name {} holds a dot, blank, slash or wildcard", options.durable);
  if (options.concurrency < 1 || options.concurrency > 256)
    return InvalidArgument("concurrency {} is not in 1..256", options.concurrency);
  if (options.max_deliver < 1) return InvalidArgument("max_deliver {} is not positive", options.max_deliver);
  if (options.ack_wait < absl::Milliseconds(100)) return InvalidArgument("ack_wait must be at least 100 ms");
  auto state = std::make_unique<State>();
  state->connection = connection;
  state->options = std::move(options);
  RETURN_IF_ERROR(state->Ensure());
  return std::unique_ptr<PullConsumer>(new PullConsumer(std::move(state)));
}

absl::Status PullConsumer::Run(std::stop_token stop, const Handler& handler) {
  State& s = *state_;
  ASSIGN_OR_RETURN(SharedSub sub, s.Subscribe());
  {
    absl::MutexLock lock(&s.mutex);
    s.closing = false;
  }
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < s.options.concurrency; ++i) workers.emplace_back([&] { s.Work(stop, handler); });
    const std::jthread keeper([&s] { s.KeepAlive(); });
    s.FetchLoop(stop, std::move(sub));
    absl::MutexLock lock(&s.mutex);
    s.closing = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<PullConsumer::Lag> PullConsumer::lag() {
  ASSIGN_OR_RETURN(const ConsumerInfoPtr info, GetInfo(*state_->connection, state_->options));
  return Lag{static_cast<int64_t>(info->NumPending), info->NumAckPending, info->NumRedelivered};
}

Outcome Outcome::FromStatus(const absl::Status& status, int deliveries) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kAlreadyExists:
      return Ack();
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return Poison(status.ToString());
    default:
      return Retry(
          std::min(absl::Milliseconds(200) * (int64_t{1} << std::clamp(deliveries - 1, 0, 20)), absl::Seconds(60)),
          status.ToString());
  }
}

}  // namespace vedette::messaging
