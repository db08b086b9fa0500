#include "messaging/counters.h"

#include <absl/strings/numbers.h>
#include <absl/time/clock.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/status.h"
#include "messaging/internal.h"

namespace vedette::messaging {
namespace {

using EntryPtr = std::unique_ptr<kvEntry, internal::Deleter<kvEntry_Destroy>>;

/// A number, and which change made it (0: none did).
struct Counted {
  int64_t value = 0;
  uint64_t revision = 0;
};

}  // namespace

struct Counters::State {
  Connection* connection = nullptr;
  CountersOptions options;
  jsCtx* js = nullptr;  ///< of our own: it waits less long than the connection's
  kvStore* store = nullptr;

  ~State() {
    kvStore_Destroy(store);
    jsCtx_Destroy(js);
  }

  absl::StatusOr<Counted> Read(const std::string& key) const {
    kvEntry* raw = nullptr;
    const natsStatus s = kvStore_Get(&raw, store, key.c_str());
    if (s == NATS_NOT_FOUND) return Counted{};
    RETURN_IF_ERROR(internal::ToStatus(s, fmt::format("reading the counter {}", key)));
    const EntryPtr entry(raw);
    Counted out{.revision = kvEntry_Revision(raw)};
    const std::string_view text(static_cast<const char*>(kvEntry_Value(raw)),
                                static_cast<size_t>(kvEntry_ValueLen(raw)));
    if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &out.value))
      return DataLoss("the counter {} holds no number", key);
    return out;
  }

  /// False when somebody else changed it meanwhile.
  absl::StatusOr<bool> Write(const std::string& key, int64_t value, uint64_t revision) const {
    const std::string text = std::to_string(value);
    const natsStatus s = revision == 0 ? kvStore_CreateString(nullptr, store, key.c_str(), text.c_str())
                                       : kvStore_UpdateString(nullptr, store, key.c_str(), text.c_str(), revision);
    if (s == NATS_OK) return true;
    const absl::Status status = internal::ToStatus(s, fmt::format("changing the counter {}", key));
    // The client library has no code of its own for a revision that is not the last.
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsInvalidArgument(status))
      return status;
    return false;
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
  natsStatus s = js_KeyValue(&state->store, state->js, config.Bucket);
  if (s == NATS_NOT_FOUND) s = js_CreateKeyValue(&state->store, state->js, &config);
  // Another process may have been faster, with other settings.
  if (s != NATS_OK && state->store == nullptr) s = js_KeyValue(&state->store, state->js, config.Bucket);
  RETURN_IF_ERROR(internal::ToStatus(s, what));
  return std::unique_ptr<Counters>(new Counters(std::move(state)));
}

absl::StatusOr<int64_t> Counters::Add(const std::string& key, int64_t amount, int64_t most) {
  const absl::Time end = absl::Now() + state_->options.answer_within;
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
