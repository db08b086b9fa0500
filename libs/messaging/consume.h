// Taking messages from a stream, at least once: a message leaves only when its handler said so.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "messaging/cloud_event.h"
#include "messaging/connection.h"

namespace vedette::messaging {

struct Message {
  CloudEvent event;
  std::string subject;
  Headers headers;
  int deliveries = 1;            ///< 1 the first time
  uint64_t stream_sequence = 0;  ///< grows with the order of storing
  absl::Time stored_at;
};

/// What becomes of a message.
struct Outcome {
  enum class Kind { kAck, kRetry, kPoison };
  Kind kind = Kind::kAck;
  absl::Duration delay = absl::ZeroDuration();
  std::string reason = {};  ///< goes into the dead letter's header

  static Outcome Ack() { return {}; }
  /// Deliver again after `delay`; to the dead letters once max_deliver attempts were made.
  static Outcome Retry(absl::Duration delay, std::string reason) { return {Kind::kRetry, delay, std::move(reason)}; }
  /// To the dead letters at once: trying again cannot help.
  static Outcome Poison(std::string reason) { return {Kind::kPoison, absl::ZeroDuration(), std::move(reason)}; }
  /// OK and ALREADY_EXISTS: Ack. INVALID_ARGUMENT, DATA_LOSS, OUT_OF_RANGE, UNIMPLEMENTED: Poison. Others: Retry after
  /// 0.2 s x 2^(deliveries - 1), at most 60 s.
  static Outcome FromStatus(const absl::Status& status, int deliveries);
};

/// Called on the consumer's threads, possibly several at once. `stop` is asked for when the process ends: return Retry
/// soon. A handler may see a message twice, even one that was acknowledged (nats-server 2.9 writes acknowledgements to
/// disk a moment later, so a killed server brings back the last ones): make the work idempotent (storage::Inbox).
using Handler = std::function<Outcome(const Message&, std::stop_token stop)>;

struct ConsumerOptions {
  std::string stream;   ///< kWorkStream, kFactsStream
  std::string durable;  ///< name, shared by all replicas: "triage-anomalies"
  std::string filter;   ///< "facts.anomaly.>"; for work queues filters of different durables must not overlap
  /// How long after a worker died others wait. Live handlers may take longer: they are vouched for every third of it.
  absl::Duration ack_wait = absl::Seconds(10);
  int max_deliver = 10;
  int max_ack_pending = 1000;  ///< of all replicas together
  int concurrency = 1;         ///< handlers at once in this process
  bool from_now = false;       ///< a new durable on a kLimits stream starts with the next message, not the first
  absl::Duration fetch_wait =
      absl::Milliseconds(500);  ///< one request to the server; bounds how long stopping takes when idle
  /// After each handled message: how it ended, time in the handler, deliveries.
  std::function<void(const Message&, const Outcome&, absl::Duration took)> on_handled = {};
  std::function<void(const absl::Status&)> on_error = {};  ///< fetch or acknowledge failed; it goes on by itself
};

/// Pull consumer. A message that is no CloudEvent goes to the dead letters unseen by the handler; a consumer of the
/// dead letters gets such a one with an empty event and its bytes in event.data. The server's own limit on deliveries
/// is left off; this class counts, so that a message whose worker died on the last attempt still reaches the dead
/// letters (the server would leave it in the stream, undelivered).
class PullConsumer {
 public:
  /// Creates the durable consumer or brings it up to date. FAILED_PRECONDITION when its filter overlaps another's.
  static absl::StatusOr<std::unique_ptr<PullConsumer>> Create(Connection* connection, ConsumerOptions options);
  ~PullConsumer();

  /// Until `stop`; then lets running handlers finish, gives back what was not started, and returns OK. Survives
  /// restarts of the server.
  absl::Status Run(std::stop_token stop, const Handler& handler);

  struct Lag {
    int64_t waiting = 0;  ///< not yet delivered
    int64_t unacknowledged = 0;
    int64_t redelivered = 0;
  };
  absl::StatusOr<Lag> lag();

 private:
  struct State;
  explicit PullConsumer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Header names of dead letters, beside those of the original message.
inline constexpr char kDeadLetterReason[] = "vedette-dlq-reason";
inline constexpr char kDeadLetterStreamHeader[] = "vedette-dlq-stream";
inline constexpr char kDeadLetterConsumer[] = "vedette-dlq-consumer";
inline constexpr char kDeadLetterDeliveries[] = "vedette-dlq-deliveries";
inline constexpr char kDeadLetterSequence[] = "vedette-dlq-sequence";

}  // namespace vedette::messaging
