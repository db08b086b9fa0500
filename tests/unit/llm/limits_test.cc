#include "llm/limits.h"

#include <catch2/catch.hpp>

#include "llm/retry.h"

namespace vedette::llm {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

TEST_CASE("after the pause one call probes, and its failure opens the circuit again") {
  Breaker b(2, absl::Seconds(30), absl::Minutes(5));
  b.Failed(kStart, false);
  CHECK(b.Allow(kStart));
  b.Failed(kStart, false);
  CHECK_FALSE(b.Allow(kStart + absl::Seconds(29)));
  CHECK(b.Allow(kStart + absl::Seconds(30)));
  CHECK_FALSE(b.Allow(kStart + absl::Seconds(30)));
  b.Failed(kStart + absl::Seconds(30), false);
  CHECK_FALSE(b.Allow(kStart + absl::Seconds(59)));
  CHECK(b.Allow(kStart + absl::Seconds(60)));
  b.Succeeded();
  CHECK(b.Allow(kStart + absl::Seconds(60)));
}

TEST_CASE("what a call of yesterday takes after midnight is yesterday's, and today's count stays") {
  constexpr absl::Duration kDay = absl::Hours(24);
  LocalBudget b(100);
  CHECK(b.Take("acme", 60, kStart).empty());
  CHECK(b.Take("acme", 90, kStart + kDay).empty());
  CHECK(b.Take("other", 100, kStart + kDay).empty());
  CHECK(b.Take("acme", 40, kStart).empty());  // another attempt
  CHECK(b.Take("acme", 1, kStart) == kOverBudget);
  b.Settle("acme", 100, 30, kStart);
  CHECK(b.Take("acme", 11, kStart + kDay) == kOverBudget);
  CHECK(b.Take("other", 1, kStart + kDay) == kOverBudget);
  CHECK(b.Take("acme", 10, kStart + kDay).empty());
  CHECK(b.Take("acme", 70, kStart).empty());
  CHECK(b.Take("acme", 1, kStart) == kOverBudget);
}

TEST_CASE("a clock that ran ahead and was set right costs no day's count") {
  constexpr absl::Duration kDay = absl::Hours(24);
  LocalBudget b(100);
  CHECK(b.Take("acme", 100, kStart + 1000 * kDay).empty());
  for (int day = 0; day < 5; ++day) {
    CHECK(b.Take("acme", 100, kStart + day * kDay).empty());
    if (day > 0) CHECK(b.Take("acme", 1, kStart + (day - 1) * kDay) == kOverBudget);
    CHECK(b.Take("acme", 1, kStart + day * kDay) == kOverBudget);
  }
}

TEST_CASE("the cache forgets the least recently used") {
  AnswerCache c(2, absl::Hours(1));
  c.Put("a", 1, kStart);
  c.Put("b", 2, kStart);
  CHECK(c.Find("a", kStart) != nullptr);
  c.Put("c", 3, kStart);
  CHECK(c.Find("b", kStart) == nullptr);
  CHECK(*c.Find("a", kStart) == 1);
  CHECK(c.Find("a", kStart + absl::Hours(1)) == nullptr);
}

TEST_CASE("retry-after as a date, out of range and unreadable") {
  HttpReply r{.status = 429,
              .headers = {{"retry-after", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", kStart + absl::Seconds(9),
                                                           absl::UTCTimeZone())}}};
  CHECK(RetryWait(r, 0, 0, kStart) == absl::Seconds(9));
  r.headers["retry-after"] = "-3";
  CHECK(RetryWait(r, 1, 0, kStart) == absl::Seconds(1));
  r.headers["retry-after"] = "soon";
  CHECK(RetryWait(r, 9, 1, kStart) == absl::Seconds(6));
  r.headers["retry-after"] = "121";
  CHECK_FALSE(RetryWait(r, 0, 0, kStart).has_value());
}

}  // namespace
}  // namespace vedette::llm
