#include "messaging/publish.h"

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/status.h"
#include "messaging/internal.h"

namespace vedette::messaging {
namespace {

constexpr size_t kMaxSubjectBytes = 255;
constexpr char kMessageId[] = "Nats-Msg-Id";

absl::StatusOr<PubAck> ParseAck(natsMsg* msg, std::string_view subject) {
  if (natsMsg_IsNoResponders(msg)) return NotFound("no stream takes the subject {}", subject);
  const nlohmann::json j = nlohmann::json::parse(internal::DataOf(msg), nullptr, false);
  if (!j.is_object()) return Internal("publishing to {}: the answer is not an acknowledgement", subject);
  try {
    if (const auto error = j.find("error"); error != j.end()) {
      return internal::FromJetStreamError(error->value("err_code", 0), error->value("code", 0),
                                          error->value("description", ""), fmt::format("publishing to {}", subject));
    }
    return PubAck{j.value("stream", ""), j.value("seq", uint64_t{0}), j.value("duplicate", false)};
  } catch (const nlohmann::json::exception&) {
    return Internal("publishing to {}: the answer is not an acknowledgement", subject);
  }
}

}  // namespace

// The client library's own asynchronous publishing tells only errors, and only through a callback of the whole context;
// here each message has an inbox token of its own, so each gets its own answer.
struct Publisher::State {
  Connection* connection = nullptr;
  PublisherOptions options;
  std::string inbox;
  natsSubscription* sub = nullptr;
  absl::Notification ended;  // the subscription's last callback

  struct Batch {
    std::vector<absl::StatusOr<PubAck>> results;
    int outstanding = 0;
  };
  struct Waiting {
    Batch* batch;
    size_t index;
    int64_t bytes;
    absl::Time sent;
    std::string subject;
  };
  absl::Mutex mutex;
  absl::flat_hash_map<uint64_t, Waiting> waiting ABSL_GUARDED_BY(mutex);
  uint64_t next_token ABSL_GUARDED_BY(mutex) = 1;
  int64_t bytes ABSL_GUARDED_BY(mutex) = 0;

  void Settle(uint64_t token, absl::StatusOr<PubAck> result) ABSL_LOCKS_EXCLUDED(mutex) {
    if (options.on_publish) {
      absl::Time sent;
      {
        absl::MutexLock lock(&mutex);
        const auto it = waiting.find(token);
        if (it == waiting.end()) return;  // answered after its deadline
        sent = it->second.sent;
      }
      // Before the result is handed over: then whoever waits for the batch has seen its metrics.
      options.on_publish(absl::Now() - sent, result.status());
    }
    absl::MutexLock lock(&mutex);
    const auto it = waiting.find(token);
    if (it == waiting.end()) return;
    bytes -= it->second.bytes;
    Batch& batch = *it->second.batch;
    batch.results[it->second.index] = std::move(result);
    --batch.outstanding;
    waiting.erase(it);
  }

  static void OnReply(natsConnection*, natsSubscription*, natsMsg* raw, void* closure) {
    const internal::MsgPtr msg(raw);
    auto* self = static_cast<State*>(closure);
    const std::string_view subject = natsMsg_GetSubject(raw);
    const std::string_view digits = subject.substr(subject.rfind('.') + 1);
    uint64_t token = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), token);
    std::string published;
    {
      absl::MutexLock lock(&self->mutex);
      const auto it = self->waiting.find(token);
      if (it == self->waiting.end()) return;
      published = it->second.subject;
    }
    self->Settle(token, ParseAck(raw, published));
  }

  absl::Status Send(Batch* batch, size_t index, const OutgoingMessage& m, absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mutex) {
    if (absl::Now() >= deadline)
      return absl::DeadlineExceededError(
          fmt::format("publishing to {}: the deadline passed before it was sent", m.subject));
    RETURN_IF_ERROR(CheckSubject(m.subject));
    ASSIGN_OR_RETURN(Headers headers, ToHeaders(m.event));
    // The tenant is part of the name: ids are unique per tenant, and one tenant must not swallow another's message.
    std::string id =
        fmt::format("{}/{}{}{}", m.event.source, m.event.tenant, m.event.tenant.empty() ? "" : "/", m.event.id);
    if (id.find_first_of("\r\n") != std::string::npos)
      return InvalidArgument("the event's source or id has a line break");
    headers.emplace_back(kMessageId, std::move(id));
    int64_t size = static_cast<int64_t>(m.event.data.size() + m.subject.size()) + 64;
    for (const auto& [k, v] : headers) size += static_cast<int64_t>(k.size() + v.size()) + 4;
    if (size > connection->max_payload()) {
      return InvalidArgument("the message to {} has {} bytes; the server takes at most {}", m.subject, size,
                             connection->max_payload());
    }
    uint64_t token = 0;
    {
      absl::MutexLock lock(&mutex);
      const auto room = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex) {
        return waiting.empty() || (static_cast<int>(waiting.size()) < options.max_in_flight &&
                                   bytes + size <= options.max_in_flight_bytes);
      };
      if (!mutex.AwaitWithDeadline(absl::Condition(&room), deadline)) {
        return absl::DeadlineExceededError(
            fmt::format("publishing to {}: too many messages wait for their acknowledgement", m.subject));
      }
      token = next_token++;
      waiting[token] = {batch, index, size, absl::Now(), m.subject};
      bytes += size;
      ++batch->outstanding;
    }
    absl::StatusOr<internal::MsgPtr> msg =
        internal::MakeMessage(m.subject, fmt::format("{}.{}", inbox, token), headers, m.event.data);
    absl::Status status = msg.status();
    if (status.ok()) {
      status = internal::ToStatus(natsConnection_PublishMsg(connection->impl().nc, msg->get()),
                                  fmt::format("publishing to {}", m.subject));
    }
    if (!status.ok()) Settle(token, status);
    return absl::OkStatus();
  }

  ~State() {
    if (sub == nullptr) return;
    natsSubscription_Unsubscribe(sub);
    ended.WaitForNotification();
    natsSubscription_Destroy(sub);
  }
};

Publisher::Publisher(std::unique_ptr<State> state) : state_(std::move(state)) {}
Publisher::~Publisher() = default;

absl::StatusOr<std::unique_ptr<Publisher>> Publisher::Create(Connection* connection, PublisherOptions options) {
  auto state = std::make_unique<State>();
  state->connection = connection;
  state->options = std::move(options);
  natsInbox* inbox = nullptr;
  RETURN_IF_ERROR(internal::ToStatus(natsInbox_Create(&inbox), "making an inbox"));
  state->inbox = inbox;
  natsInbox_Destroy(inbox);
  const std::string subject = state->inbox + ".*";
  RETURN_IF_ERROR(internal::ToStatus(
      natsConnection_Subscribe(&state->sub, connection->impl().nc, subject.c_str(), State::OnReply, state.get()),
      "subscribing to an inbox"));
  // -1: acknowledgements are small and bounded by max_in_flight; dropping one would cost a whole timeout.
  natsSubscription_SetPendingLimits(state->sub, -1, -1);
  natsSubscription_SetOnCompleteCB(
      state->sub, [](void* closure) { static_cast<State*>(closure)->ended.Notify(); }, state.get());
  return std::unique_ptr<Publisher>(new Publisher(std::move(state)));
}

absl::StatusOr<PubAck> Publisher::Publish(std::string_view subject, const CloudEvent& event, absl::Time deadline) {
  const OutgoingMessage message{std::string(subject), event};
  return PublishBatch({&message, 1}, deadline).front();
}
absl::StatusOr<PubAck> Publisher::Publish(std::string_view subject, const CloudEvent& event) {
  return Publish(subject, event, absl::Now() + state_->options.timeout);
}
std::vector<absl::StatusOr<PubAck>> Publisher::PublishBatch(std::span<const OutgoingMessage> messages) {
  return PublishBatch(messages, absl::Now() + state_->options.timeout);
}

std::vector<absl::StatusOr<PubAck>> Publisher::PublishBatch(std::span<const OutgoingMessage> messages,
                                                            absl::Time deadline) {
  State& s = *state_;
  State::Batch batch;
  batch.results.assign(messages.size(),
                       absl::StatusOr<PubAck>(absl::DeadlineExceededError("no acknowledgement before the deadline")));
  for (size_t i = 0; i < messages.size(); ++i) {
    const absl::Status sent = s.Send(&batch, i, messages[i], deadline);
    if (sent.ok()) continue;
    if (s.options.on_publish) s.options.on_publish(absl::ZeroDuration(), sent);
    absl::MutexLock lock(&s.mutex);
    batch.results[i] = sent;
  }
  int late = 0;
  {
    absl::MutexLock lock(&s.mutex);
    const auto complete = [&batch] { return batch.outstanding == 0; };
    if (!s.mutex.AwaitWithDeadline(absl::Condition(&complete), deadline)) {
      late = batch.outstanding;
      absl::erase_if(s.waiting, [&](const auto& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mutex) {
        if (entry.second.batch != &batch) return false;
        s.bytes -= entry.second.bytes;
        return true;
      });
    }
  }
  for (int i = 0; i < late && s.options.on_publish; ++i)
    s.options.on_publish(s.options.timeout, absl::DeadlineExceededError("no acknowledgement"));
  return std::move(batch.results);
}

absl::Status CheckSubject(std::string_view subject) {
  if (subject.empty() || subject.size() > kMaxSubjectBytes)
    return InvalidArgument("a subject has 1 to {} bytes, not {}", kMaxSubjectBytes, subject.size());
  char before = '.';
  for (const char c : subject) {
    const bool bad = c <= 0x20 || c >= 0x7f || c == '*' || c == '>';
    if (bad || (c == '.' && before == '.'))
      return InvalidArgument(
          "a subject is made of tokens of printable ASCII without * and >, with single dots between");
    before = c;
  }
  if (before == '.') return InvalidArgument("a subject must not end with a dot");
  return absl::OkStatus();
}

std::string SubjectToken(std::string_view text) {
  if (text.empty()) return "=";
  std::string out;
  for (const char ch : text) {
    const auto c = static_cast<unsigned char>(ch);
    if (c <= 0x20 || c >= 0x7f || c == '.' || c == '*' || c == '>' || c == '=') {
      out += fmt::format("={:02X}", c);
    } else {
      out += ch;
    }
  }
  return out;
}

}  // namespace vedette::messaging
