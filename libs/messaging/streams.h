// Our streams, defined once. Subjects: work.<kind>..., facts.<noun>.<verb>..., dlq.<the subject it came from>.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "messaging/connection.h"

namespace vedette::messaging {

enum class Retention {
  kLimits,     ///< kept until too old or too big; every durable consumer sees every message
  kWorkQueue,  ///< removed when acknowledged; one durable consumer per (non-overlapping) subject filter
};

struct StreamSpec {
  std::string name;
  std::vector<std::string> subjects;
  Retention retention = Retention::kLimits;
  absl::Duration max_age = absl::ZeroDuration();  ///< zero: for ever
  int64_t max_bytes = -1;  ///< -1: unbounded. When full: kLimits drops the oldest, kWorkQueue refuses new ones
  absl::Duration duplicate_window = absl::Minutes(2);
  int replicas = 1;

  bool operator==(const StreamSpec&) const = default;
};

inline constexpr char kWorkStream[] = "WORK";              ///< work.>   tasks to be done, once
inline constexpr char kFactsStream[] = "FACTS";            ///< facts.>  what happened, 7 days
inline constexpr char kDeadLetterStream[] = "DLQ";         ///< dlq.>    what nobody could handle, 30 days
inline constexpr char kAdvisoriesStream[] = "ADVISORIES";  ///< the server's notes on given-up deliveries

/// The four streams. `replicas`: 1 for a single server, 3 in a cluster.
std::vector<StreamSpec> OurStreams(int replicas = 1);

/// Creates the stream, or updates it when it differs. Safe to repeat and to run from several processes at once.
/// FAILED_PRECONDITION when the difference needs a new stream (retention).
absl::Status EnsureStream(Connection& connection, const StreamSpec& spec);
absl::Status EnsureOurStreams(Connection& connection, int replicas = 1);

struct StreamState {
  int64_t messages = 0;
  int64_t bytes = 0;
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
};
/// NOT_FOUND when there is no such stream.
absl::StatusOr<StreamState> GetStreamState(Connection& connection, const std::string& stream);

}  // namespace vedette::messaging
