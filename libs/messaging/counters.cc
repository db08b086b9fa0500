#include "messaging/counters.h"

#include <absl/strings/numbers.h>
#include <absl/time/clock.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/status.h"
#include "messaging/internal.h"
#include "messaging/publish.h"

namespace vedette::messaging {
namespace {

using StorePtr = std::unique_ptr<kvStore, internal::Deleter<kvStore_Destroy>>;

constexpr char kOperation[] = "KV-Operation";  // in a message that marks a key as deleted
// nats.h knows the first alone; the second is a newer server's, in a cluster.
constexpr int kWrongLastSequence[] = {10071, 10164};

/// A number, and which change made it (0: none did).
struct Counted {
  int64_t value = 0;
  uint64_t revision = 0;
};

}  // namespace

// The bucket is a key-value store's, but read and written as the stream that it is: the client library's functions for
// key-value stores do not tell the server's reason for a refusal, and in a cluster may read from a replica that is
// behind.
struct Counters::State {
  Connection* connection = nullptr;
  CountersOptions options;
  std::string stream;
  jsCtx* js = nullptr;  ///< of our own: it waits less long than the connection's

  ~State() { jsCtx_Destroy(js); }

  std::string SubjectOf(const std::string& key) const { return fmt::format("$KV.{}.{}", options.bucket, key); }

  absl::StatusOr<Counted> Read(const std::string& key) const {
    natsMsg* raw = nullptr;
    jsErrCode code{};
    const natsStatus s = js_GetLastMsg(&raw, js, stream.c_str(), SubjectOf(key).c_str(), nullptr, &code);
    if (s == NATS_NOT_FOUND) return Counted{};
    RETURN_IF_ERROR(internal::ToStatus(s, fmt::format("reading the counter {}", key), static_cast<int>(code)));
    const internal::MsgPtr msg(raw);
    Counted out{.revision = natsMsg_GetSequence(raw)};
    const char* operation = nullptr;
    if (natsMsgHeader_Get(raw, kOperation, &operation) == NATS_OK) return out;  // deleted: 0 again
    if (!absl::SimpleAtoi(internal::DataOf(raw), &out.value)) return DataLoss("the counter {} holds no number", key);
    return out;
  }

  /// False when somebody else changed it meanwhile.
  absl::StatusOr<bool> Write(const std::string& key, int64_t value, uint64_t revision) const {
    const std::string text = std::to_string(value);
    jsPubOptions expected;
    jsPubOptions_Init(&expected);
    expected.ExpectLastSubjectSeq = revision;
    expected.ExpectNoMessage = revision == 0;
    jsErrCode code{};
    const natsStatus s =
        js_Publish(nullptr, js, SubjectOf(key).c_str(), text.data(), static_cast<int>(text.size()), &expected, &code);
    if (s == NATS_OK) return true;
    const int refusal = code;
    if (std::ranges::find(kWrongLastSequence, refusal) != std::end(kWrongLastSequence)) return false;
    const absl::Status status = internal::ToStatus(s, fmt::format("changing the counter {}", key), refusal);
    // RESOURCE_EXHAUSTED is the caller's limit: a server without room for a number cannot count at all.
    if (absl::IsResourceExhausted(status)) return Unavailable("{}", vedette::Message(status));
    return status;
  }
};

Counters::Counters(std::unique_ptr<State> state) : state_(std::move(state)) {}
Counters::~Counters() = default;

absl::StatusOr<std::unique_ptr<Counters>> Counters::Open(Connection* connection, CountersOptions options) {
  auto state = std::make_unique<State>();
  state->connection = connection;
  state->options = std::move(options);
  jsOptions js;
  jsOptions_Init(&js);
  js.Wait = std::max<int64_t>(1, absl::ToInt64Milliseconds(state->options.answer_within));
  RETURN_IF_ERROR(
      internal::ToStatus(natsConnection_JetStream(&state->js, connection->impl().nc, &js), "opening JetStream"));
  kvConfig config;
  kvConfig_Init(&config);
  config.Bucket = state->options.bucket.c_str();
  config.TTL = absl::ToInt64Nanoseconds(state->options.ttl);
  config.StorageType = js_FileStorage;
  config.Replicas = state->options.replicas;
  const std::string what = fmt::format("opening the counters {}", state->options.bucket);
  kvStore* store = nullptr;
  natsStatus s = js_KeyValue(&store, state->js, config.Bucket);
  if (s == NATS_NOT_FOUND) s = js_CreateKeyValue(&store, state->js, &config);
  // Another process may have been faster, with other settings.
  if (s != NATS_OK && store == nullptr) s = js_KeyValue(&store, state->js, config.Bucket);
  const StorePtr opened(store);
  RETURN_IF_ERROR(internal::ToStatus(s, what));
  state->stream = "KV_" + state->options.bucket;
  return std::unique_ptr<Counters>(new Counters(std::move(state)));
}

absl::StatusOr<int64_t> Counters::Add(const std::string& key, int64_t amount, int64_t most) {
  const absl::Time end = absl::Now() + state_->options.answer_within;
  RETURN_IF_ERROR(CheckSubject(state_->SubjectOf(key)));
  do {
    if (!state_->connection->IsConnected()) return Unavailable("the counter {}: no connection with NATS", key);
    ASSIGN_OR_RETURN(const Counted now, state_->Read(key));
    if (amount > 0 && now.value > most - amount) {
      return ResourceExhausted("the counter {} stands at {}: {} more would be above {}", key, now.value, amount, most);
    }
    ASSIGN_OR_RETURN(const bool written, state_->Write(key, now.value + amount, now.revision));
    if (written) return now.value + amount;
  } while (absl::Now() < end);
  return absl::DeadlineExceededError(fmt::format("the counter {}: others were always faster", key));
}

}  // namespace vedette::messaging
