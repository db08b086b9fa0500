#include <catch2/catch.hpp>
#include <cmath>

#include "services/benchmark/core/benchmark.h"

namespace vedette::benchmark {
namespace {
const PeerGroup kGroup{.id = "g", .display_name = {}, .members = {"entities/a", "entities/b", "entities/c", "entities/d", "entities/e"}, .min_members = 3, .create_time = {}};

absl::StatusOr<std::vector<Benchmark>> Run(const std::vector<Value>& values) {
  return Compare(kGroup, "metrics/m", absl::FromUnixSeconds(0), absl::FromUnixSeconds(1), values);
}
}  // namespace

TEST_CASE("each member is compared with the others, never with itself") {
  const auto all = Run({{"entities/a", 1}, {"entities/b", 2}, {"entities/c", 3}, {"entities/d", 4}, {"entities/e", 100}});
  REQUIRE(all.ok());
  const Benchmark& e = all->at(4);
  CHECK(e.peer_count == 4);
  CHECK(e.peer_median == 2.5);
  CHECK(e.peer_spread == Approx(1.4826));  // |1-2.5| = 1.5, .5, .5, 1.5: median 1
  CHECK(e.robust_z == Approx(97.5 / 1.4826));
  CHECK(e.percentile == 100);
  CHECK(all->at(0).percentile == 0);
}

TEST_CASE("equal peers give no z-score instead of an infinite one") {
  const auto all = Run({{"entities/a", 5}, {"entities/b", 5}, {"entities/c", 5}, {"entities/d", 9}});
  REQUIRE(all.ok());
  CHECK(all->at(3).robust_z == 0);
  CHECK(all->at(3).percentile == 100);
}

TEST_CASE("values that mean nothing are refused") {
  CHECK(Run({{"entities/a", 1}, {"entities/b", 2}}).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Run({{"entities/a", 1}, {"entities/b", 2}, {"entities/x", 3}}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(Run({{"entities/a", 1}, {"entities/a", 2}, {"entities/b", 3}}).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(Run({{"entities/a", 1}, {"entities/b", NAN}, {"entities/c", 3}}).status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace vedette::benchmark
