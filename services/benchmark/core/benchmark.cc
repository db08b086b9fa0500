#include "services/benchmark/core/benchmark.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/status.h"

namespace vedette::benchmark {
namespace {

double Median(std::vector<double> v) {
  const size_t middle = v.size() / 2;
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(middle), v.end());
  if (v.size() % 2 == 1) return v[middle];
  return std::midpoint(*std::max_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(middle)), v[middle]);
}

absl::Status Check(const PeerGroup& group, const std::vector<Value>& values) {
  const std::set<std::string> members(group.members.begin(), group.members.end());
  std::set<std::string> seen;
  for (const Value& v : values) {
    if (!std::isfinite(v.value)) return InvalidArgument("{}: the value is not finite", v.entity);
    if (!members.contains(v.entity)) return InvalidArgument("{} is not a member of peerGroups/{}", v.entity, group.id);
    if (!seen.insert(v.entity).second) return InvalidArgument("{} comes twice", v.entity);
  }
  if (static_cast<int>(values.size()) < group.min_members) {
    return FailedPrecondition("peerGroups/{} needs at least {} members with a value; {} were given", group.id,
                              group.min_members, values.size());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Benchmark>> Compare(const PeerGroup& group, const std::string& metric, absl::Time start,
                                               absl::Time end, const std::vector<Value>& values) {
  RETURN_IF_ERROR(Check(group, values));
  std::vector<Benchmark> out;
  for (const Value& own : values) {
    std::vector<double> peers;
    for (const Value& other : values) {
      if (other.entity != own.entity) peers.push_back(other.value);
    }
    Benchmark b{.entity = own.entity, .metric = metric, .period_start = start, .period_end = end, .value = own.value};
    b.peer_count = static_cast<int>(peers.size());
    b.peer_median = Median(peers);
    std::vector<double> deviations;
    for (const double p : peers) deviations.push_back(std::abs(p - b.peer_median));
    b.peer_spread = 1.4826 * Median(deviations);
    const double z = (own.value - b.peer_median) / b.peer_spread;
    b.robust_z = b.peer_spread > 0 && std::isfinite(z) ? z : 0;
    const auto not_above = std::count_if(peers.begin(), peers.end(), [&](double p) { return p <= own.value; });
    b.percentile = 100.0 * static_cast<double>(not_above) / static_cast<double>(peers.size());
    out.push_back(std::move(b));
  }
  return out;
}

}  // namespace vedette::benchmark
