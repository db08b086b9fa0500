#include <catch2/catch.hpp>

#include "services/job-orchestrator/core/cron.h"

namespace vedette::job_orchestrator {
namespace {

absl::Time At(const std::string& text) {
  absl::Time t;
  std::string error;
  REQUIRE(absl::ParseTime(absl::RFC3339_full, text, &t, &error));
  return t;
}

std::string Next(const std::string& cron, const std::string& after) {
  const auto parsed = Cron::Parse(cron);
  REQUIRE(parsed.ok());
  return absl::FormatTime("%Y-%m-%dT%H:%M", parsed->Next(At(after)), absl::UTCTimeZone());
}

}  // namespace

TEST_CASE("cron finds the next minute strictly after") {
  CHECK(Next("* * * * *", "2026-03-01T10:00:00Z") == "2026-03-01T10:01");
  CHECK(Next("* * * * *", "2026-03-01T10:00:59Z") == "2026-03-01T10:01");
  CHECK(Next("0 2 1 * *", "2026-03-01T02:00:00Z") == "2026-04-01T02:00");
  CHECK(Next("0 */6 * * *", "2026-03-01T05:59:00Z") == "2026-03-01T06:00");
  CHECK(Next("30 4 * * *", "2026-12-31T04:30:00Z") == "2027-01-01T04:30");
  CHECK(Next("0 0 29 2 *", "2026-03-01T00:00:00Z") == "2028-02-29T00:00");
}

TEST_CASE("cron knows weekdays, and either day field matches when both are given") {
  CHECK(Next("0 9 * * 1", "2026-11-20T00:00:00Z") == "2026-11-23T09:00");   // 2026-11-20 is a Friday
  CHECK(Next("0 9 * * 0", "2026-11-20T00:00:00Z") == "2026-11-22T09:00");
  CHECK(Next("0 9 * * 7", "2026-11-20T00:00:00Z") == "2026-11-22T09:00");
  CHECK(Next("0 9 1 * 1", "2026-11-24T00:00:00Z") == "2026-11-30T09:00");
  CHECK(Next("0 9 1 * 1", "2026-11-30T12:00:00Z") == "2026-12-01T09:00");
}

TEST_CASE("a bad cron names the field and what is wrong") {
  const auto message = [](const std::string& cron) {
    const auto parsed = Cron::Parse(cron);
    REQUIRE_FALSE(parsed.ok());
    return std::string(parsed.status().message());
  };
  CHECK_THAT(message("* * * *"), Catch::Contains("five"));
  CHECK_THAT(message("60 * * * *"), Catch::Contains("minute") && Catch::Contains("0-59"));
  CHECK_THAT(message("x * * * *"), Catch::Contains("not a number"));
  CHECK_THAT(message("*/0 * * * *"), Catch::Contains("step"));
  CHECK_THAT(message("5-1 * * * *"), Catch::Contains("minute"));
  CHECK_THAT(message("0 0 31 2 *"), Catch::Contains("never"));
  CHECK_THAT(message(std::string(300, '*')), Catch::Contains("longer"));
}

}  // namespace vedette::job_orchestrator
