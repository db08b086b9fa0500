#include "services/ingest/core/chunk_codec.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "table/rows.h"

namespace vedette::ingest {
namespace {

table::Table Mixed() {
  table::Table t;
  t.columns.resize(3);
  t.columns[0] = {.name = "price", .values = {1.5, NAN, -0.0, 1e308}};
  t.columns[1] = {.name = "when", .type = table::ColumnType::kTimestamp, .values = {0, 1.7e9, NAN, -5}};
  t.columns[2] = {.name = "colour \xC3\xA4",
                  .type = table::ColumnType::kCategorical,
                  .codes = {1, -1, 0, 1},
                  .categories = {
                      "red",
                      "",
                  }};
  return t;
}

bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

TEST_CASE("a chunk comes back bit for bit") {
  const table::Table in = Mixed();
  const auto out = DecodeChunk(EncodeChunk(in));
  REQUIRE(out.ok());
  REQUIRE(out->cols() == 3);
  for (size_t j = 0; j < 3; ++j) {
    CHECK(out->columns[j].name == in.columns[j].name);
    CHECK(out->columns[j].type == in.columns[j].type);
    CHECK(SameBits(out->columns[j].values, in.columns[j].values));
    CHECK(out->columns[j].codes == in.columns[j].codes);
    CHECK(out->columns[j].categories == in.columns[j].categories);
  }
}

TEST_CASE("a changed or cut chunk is data loss") {
  const std::string good = EncodeChunk(Mixed());
  Rng rng(7);
  for (int i = 0; i < 500; ++i) {
    std::string bad = good;
    bad[rng.Below(bad.size())] ^= static_cast<char>(1 << rng.Below(8));
    CHECK(absl::IsDataLoss(DecodeChunk(bad).status()));
  }
  for (size_t n = 0; n < good.size(); ++n)
    CHECK(absl::IsDataLoss(DecodeChunk(std::string_view(good).substr(0, n)).status()));
}

TEST_CASE("slices keep only the categories they use, and together give the table again") {
  const table::Table in = Mixed();
  CHECK(table::SliceRows(in, 0, 1).columns[2].categories == std::vector<std::string>{""});
  table::TableBuilder builder;
  for (int64_t i = 0; i < 4; ++i) REQUIRE(builder.Append(table::SliceRows(in, i, 1)).ok());
  const table::Table out = builder.Take();
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(out.columns[2].Text(i) == in.columns[2].Text(i));
    CHECK(out.columns[2].IsMissing(i) == in.columns[2].IsMissing(i));
  }
  CHECK(SameBits(out.columns[0].values, in.columns[0].values));
  CHECK(builder.rows() == 0);
  table::Table other = in;
  other.columns[1].name = "then";
  REQUIRE(builder.Append(in).ok());
  CHECK(absl::IsInvalidArgument(builder.Append(other)));
  CHECK(table::TakeRows(in, std::vector<int64_t>{3, 0}).columns[0].values == std::vector<double>{1e308, 1.5});
}

}  // namespace
}  // namespace vedette::ingest
