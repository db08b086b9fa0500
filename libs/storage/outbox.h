// Transactional outbox and inbox: facts leave a service if and only if its transaction committed, and are acted on
// once. The tables come from `select vedette.create_outbox();` in the service's first migration.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "storage/transaction.h"

namespace vedette::storage {

struct OutboxMessage {
  std::string id;       ///< deduplicates at the receiver; empty in Add: a new UUIDv7. Unique per tenant
  std::string tenant;   ///< empty in Add: the transaction's tenant
  std::string subject;  ///< where it is published, "facts.dataset.ready"
  std::string type;     ///< CloudEvents type
  std::string payload;
  std::string content_type = "application/protobuf";
  std::map<std::string, std::string> headers =
      {};  ///< further CloudEvents attributes: "subject", "traceparent", "dataschema"
  absl::Time created_at = absl::UnixEpoch();  ///< set by the database
};

class Outbox {
 public:
  /// Writes the message in the caller's transaction; returns its id. A second message with the same id is dropped
  /// silently.
  static absl::StatusOr<std::string> Add(Tx& tx, OutboxMessage message);
};

class Inbox {
 public:
  /// True the first time this consumer sees `message_id` (for this tenant); false when it was handled before. Call it
  /// in the transaction that does the work: both commit or neither.
  static absl::StatusOr<bool> FirstTime(Tx& tx, std::string_view consumer, std::string_view message_id);
  /// Forgets entries older than `age` (keep it longer than any redelivery). From AsService.
  static absl::StatusOr<int64_t> Purge(Tx& tx, absl::Duration age);
};

/// Publishes in order and returns one status per message. OK means: stored by the receiver. INVALID_ARGUMENT parks the
/// message (failed_at is set, it is not tried again); any other error leaves it for the next round.
using OutboxPublisher = std::function<std::vector<absl::Status>(std::span<const OutboxMessage>)>;

struct OutboxRelayOptions {
  int batch = 256;
  absl::Duration poll = absl::Milliseconds(50);   ///< when nothing was waiting
  absl::Duration max_backoff = absl::Seconds(5);  ///< after errors, doubling from `poll`
  absl::Duration keep_published = absl::Hours(24);
  absl::Duration keep_inbox = absl::Hours(24 * 14);
  /// Called after each round that published or failed: published, parked, error of the round.
  std::function<void(int published, int parked, const absl::Status&)> on_round = {};
};

/// Several may run at once (rows are taken with SKIP LOCKED); order is kept within one relay while nothing fails.
/// A crash after publishing and before the commit publishes again with the same id.
class OutboxRelay {
 public:
  OutboxRelay(Pool* pool, OutboxPublisher publish, OutboxRelayOptions options = {});
  ~OutboxRelay();

  /// One batch; returns how many messages were taken (0: none waiting).
  absl::StatusOr<int> RunOnce();
  /// Until stopped; survives a database or a receiver that is away. Removes old published rows now and then.
  void Run(std::stop_token stop);
  /// Something was added: look now. Any thread.
  void Wake();

 private:
  absl::Status Sweep();
  struct State;
  Pool* pool_;
  OutboxPublisher publish_;
  OutboxRelayOptions options_;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::storage
