// Publishing to a stream: done when the server has stored it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "messaging/cloud_event.h"
#include "messaging/connection.h"

namespace vedette::messaging {

struct OutgoingMessage {
  std::string subject;
  CloudEvent event;
};

struct PubAck {
  std::string stream;
  uint64_t sequence = 0;
  bool duplicate = false;  ///< the server had this (source, id) already within the stream's window
};

struct PublisherOptions {
  absl::Duration timeout = absl::Seconds(5);  ///< for Publish and PublishBatch without a deadline
  int max_in_flight = 1024;                   ///< unacknowledged messages of all batches together
  int64_t max_in_flight_bytes = int64_t{16} << 20;
  std::function<void(absl::Duration took, const absl::Status&)> on_publish = {};  ///< per message
};

/// Thread-safe. Nats-Msg-Id is "<source>/<id>", so publishing again after an error does not double.
/// INVALID_ARGUMENT: bad subject or event, or larger than the server takes; NOT_FOUND: no stream has the subject;
/// RESOURCE_EXHAUSTED: the stream is full; DEADLINE_EXCEEDED: no answer (stored or not: publish again); UNAVAILABLE.
class Publisher {
 public:
  static absl::StatusOr<std::unique_ptr<Publisher>> Create(Connection* connection, PublisherOptions options = {});
  ~Publisher();

  absl::StatusOr<PubAck> Publish(std::string_view subject, const CloudEvent& event, absl::Time deadline);
  absl::StatusOr<PubAck> Publish(std::string_view subject, const CloudEvent& event);
  /// Sends all in order without waiting in between, then waits for every acknowledgement; one result per message.
  std::vector<absl::StatusOr<PubAck>> PublishBatch(std::span<const OutgoingMessage> messages, absl::Time deadline);
  std::vector<absl::StatusOr<PubAck>> PublishBatch(std::span<const OutgoingMessage> messages);

 private:
  struct State;
  explicit Publisher(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// INVALID_ARGUMENT unless `subject` can be published to: tokens of printable ASCII without . * > and space, 255 bytes.
absl::Status CheckSubject(std::string_view subject);
/// `text` as one subject token: bytes that a token must not hold are written as =XX. "" becomes "=".
std::string SubjectToken(std::string_view text);

}  // namespace vedette::messaging
