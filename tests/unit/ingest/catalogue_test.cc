#include "services/ingest/core/catalogue.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace vedette::ingest {
namespace {

TEST_CASE("ids") {
  CHECK(IsTenantId("a"));
  CHECK(IsTenantId("acme-2"));
  for (const char* bad : {"", "Acme", "2acme", "acme-", "a_b"}) CHECK_FALSE(IsTenantId(bad));
  CHECK_FALSE(IsTenantId(std::string(64, 'a')));
  CHECK(IsResourceId("store:12.SKU_7-b"));
  for (const char* bad : {"", "-a", "a/b", "a b", "\xC3\xA4"}) CHECK_FALSE(IsResourceId(bad));
  CHECK(IsUuid("018f4e1c-0000-7000-8000-00000000000A"));
  CHECK_FALSE(IsUuid("018f4e1c-0000-7000-8000-00000000000g"));
  CHECK_FALSE(IsUuid("018f4e1c00007000800000000000000a"));
}

TEST_CASE("an upload's metadata: every mistake at once") {
  std::vector<Violation> v;
  CheckUpload("t.csv", "", "", "", v);
  CheckUpload("t.csv", "018f4e1c-0000-7000-8000-000000000001", "csv", "\t", v);
  CHECK(v.empty());
  CheckUpload(std::string(201, 'x'), "abc", "pdf", "#", v);
  REQUIRE(v.size() == 4);
  CHECK(v[2].field == "metadata.format");
}

TEST_CASE("observations: lengths, indexes, finite values, times") {
  const absl::Time first = absl::FromUnixSeconds(0), last = absl::FromUnixSeconds(1000);
  const ObservationBatch good{.entities = {"e"},
                              .metrics = {"m"},
                              .entity_index = {0, 0},
                              .metric_index = {0, 0},
                              .time_micros = {0, 999'999'999},
                              .values = {1, 2}};
  std::vector<Violation> v;
  CheckObservations(good, first, last, v);
  CHECK(v.empty());
  const auto wrong = [&](auto change) {
    ObservationBatch batch = good;
    change(batch);
    std::vector<Violation> out;
    CheckObservations(batch, first, last, out);
    REQUIRE_FALSE(out.empty());
    return out.front().field;
  };
  CHECK(wrong([](auto& b) { b.time_micros[1] = 1'000'000'000; }) == "time_micros[1]");
  CHECK(wrong([](auto& b) { b.time_micros[0] = -1; }) == "time_micros[0]");
  CHECK(wrong([](auto& b) { b.values[1] = NAN; }) == "values[1]");
  CHECK(wrong([](auto& b) { b.entity_index[1] = 1; }) == "entity_index[1]");
  CHECK(wrong([](auto& b) { b.metric_index[0] = -1; }) == "metric_index[0]");
  CHECK(wrong([](auto& b) { b.time_micros.pop_back(); }) == "values");
  CHECK(wrong([](auto& b) { b = {}; }) == "values");
}

TEST_CASE("months of times, before 1970 too") {
  const auto micros = [](int year, int month, int day) {
    return absl::ToUnixMicros(absl::FromCivil(absl::CivilDay(year, month, day), absl::UTCTimeZone()));
  };
  const std::vector<int64_t> times{micros(2024, 3, 31),    micros(2024, 3, 1),   micros(2024, 4, 1),
                                   micros(2024, 4, 1) - 1, micros(1969, 12, 31), 0};
  CHECK(MonthsOf(times) == std::vector<absl::CivilMonth>{absl::CivilMonth(1969, 12), absl::CivilMonth(1970, 1),
                                                         absl::CivilMonth(2024, 3), absl::CivilMonth(2024, 4)});
  CHECK(MonthsOf({}).empty());
}

}  // namespace
}  // namespace vedette::ingest
