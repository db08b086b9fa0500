// Whole numbers that all processes share, kept by the server (a JetStream key-value bucket, on its disk).
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "messaging/connection.h"

namespace vedette::messaging {

struct CountersOptions {
  std::string bucket;                               ///< letters, digits, - and _
  absl::Duration ttl = absl::Hours(24 * 3);         ///< a number that nobody changes for so long is gone
  absl::Duration answer_within = absl::Seconds(1);  ///< Add gives up then; the server's own default is 5 s a question
  int replicas = 1;                                 ///< 3 in a cluster
};

/// Thread-safe. Destroy it before its connection.
class Counters {
 public:
  /// Creates the bucket where it is missing. UNAVAILABLE, DEADLINE_EXCEEDED; INVALID_ARGUMENT for a bad name.
  static absl::StatusOr<std::unique_ptr<Counters>> Open(Connection* connection, CountersOptions options);
  ~Counters();

  /// Adds `amount` (below 0: takes away) to the number `key` (letters, digits, - _ and . within; 0 where it was never
  /// changed), unless that would bring it above `most`. The number afterwards. RESOURCE_EXHAUSTED: above, nothing was
  /// added; UNAVAILABLE: the server is away or has no room, nothing was added; DEADLINE_EXCEEDED: it did not answer in
  /// time or others were always faster, and whether it was added is not known.
  absl::StatusOr<int64_t> Add(const std::string& key, int64_t amount,
                              int64_t most = std::numeric_limits<int64_t>::max());

 private:
  struct State;
  explicit Counters(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace vedette::messaging
