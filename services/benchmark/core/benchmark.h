// Where a member stands among its peers.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

namespace vedette::benchmark {

struct PeerGroup {
  std::string id;
  std::string display_name;
  std::vector<std::string> members;  ///< entities/{entity}
  int min_members = 3;
  absl::Time create_time;
};

struct Value {
  std::string entity;
  double value = 0;
};

struct Benchmark {
  std::string entity;
  std::string metric;
  absl::Time period_start;
  absl::Time period_end;
  double value = 0;
  double peer_median = 0;
  double peer_spread = 0;  ///< 1.4826 x median absolute deviation of the peers (consistent with sd for normal data)
  double robust_z = 0;     ///< (value - peer_median) / peer_spread; 0 where all peers are equal
  double percentile = 0;   ///< 100 x share of peers that are not above it
  int peer_count = 0;      ///< the others: the member itself is never its own peer
};

/// The smallest group that means anything.
inline constexpr int kMinMembers = 3;

/// One entry for each value, compared with all the others. INVALID_ARGUMENT: a value that is not finite, an entity that
/// is no member or comes twice. FAILED_PRECONDITION: fewer values than the group's min_members.
absl::StatusOr<std::vector<Benchmark>> Compare(const PeerGroup& group, const std::string& metric, absl::Time start,
                                               absl::Time end, const std::vector<Value>& values);

}  // namespace vedette::benchmark
