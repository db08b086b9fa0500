#include "services/ingest/core/dataset_reader.h"

#include <catch2/catch.hpp>

#include "fakes.h"
#include "services/ingest/core/chunk_codec.h"
#include "table/rows.h"

namespace vedette::ingest {
namespace {

// 1000 rows in chunks of 96, value = row.
struct ReaderSetup {
  FakeStore store;
  FakeBlobs blobs;

  ReaderSetup() {
    store.dataset = {.id = "d1", .state = DatasetState::kReady, .row_count = 1000};
    for (int64_t at = 0; at < 1000; at += 96) {
      const int64_t n = std::min<int64_t>(96, 1000 - at);
      table::Table rows;
      rows.columns.resize(1);
      rows.columns[0].name = "v";
      for (int64_t i = 0; i < n; ++i) rows.columns[0].values.push_back(static_cast<double>(at + i));
      Chunk chunk{.index = at / 96, .first_row = at, .rows = n, .key = fmt::format("k{}", at / 96)};
      blobs.objects[chunk.key] = EncodeChunk(rows);
      store.chunks.push_back(chunk);
    }
  }

  absl::Status Read(int64_t first, int64_t count, std::vector<double>* out, int* messages = nullptr) {
    int64_t next = first;
    const auto sink = [&](int64_t first_row, table::Table&& rows) -> absl::Status {
      CHECK(first_row == next);
      next += rows.rows();
      if (messages != nullptr) ++*messages;
      out->insert(out->end(), rows.columns[0].values.begin(), rows.columns[0].values.end());
      return absl::OkStatus();
    };
    return DatasetReader(&store, &blobs, 400).Read("acme", "d1", first, count, {}, {}, sink);
  }
};

TEST_CASE("any range comes back, across the borders of chunks and messages") {
  ReaderSetup s;
  for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 0}, {0, 1}, {95, 2}, {96, 96}, {95, 98}, {500, 0}, {999, 1}, {990, 100}, {300, 400}}) {
    std::vector<double> got;
    int messages = 0;
    REQUIRE(s.Read(first, count, &got, &messages).ok());
    const int64_t end = count == 0 ? 1000 : std::min<int64_t>(1000, first + count);
    REQUIRE(static_cast<int64_t>(got.size()) == end - first);
    CHECK(got.front() == static_cast<double>(first));
    CHECK(got.back() == static_cast<double>(end - 1));
    CHECK(messages >= static_cast<int>((end - first) / 48));
  }
}

TEST_CASE("only the columns that are named, in the dataset's order; none left is an error") {
  ReaderSetup s;
  table::Table rows;
  for (const char* name : {"a", "b", "c"}) rows.columns.push_back({.name = name, .values = {1, 2}});
  s.store.dataset.row_count = 2;
  s.store.chunks = {{.index = 0, .first_row = 0, .rows = 2, .key = "wide"}};
  s.blobs.objects["wide"] = EncodeChunk(rows);
  std::vector<std::string> names;
  const auto read = [&](const std::vector<std::string>& columns) {
    names.clear();
    return DatasetReader(&s.store, &s.blobs).Read("acme", "d1", 0, 0, columns, {}, [&](int64_t, table::Table&& got) {
      for (const table::Column& c : got.columns) names.push_back(c.name);
      return absl::OkStatus();
    });
  };
  REQUIRE(read({"c", "nowhere", "a"}).ok());
  CHECK(names == std::vector<std::string>{"a", "c"});
  REQUIRE(read({}).ok());
  CHECK(names.size() == 3);
  CHECK(absl::IsInvalidArgument(read({"nowhere"})));
}

TEST_CASE("a range that ends at the end is empty, one beyond it is an error") {
  ReaderSetup s;
  std::vector<double> got;
  CHECK(s.Read(1000, 0, &got).ok());
  CHECK(got.empty());
  CHECK(absl::IsOutOfRange(s.Read(1001, 0, &got)));
  CHECK(absl::IsInvalidArgument(s.Read(-1, 0, &got)));
  CHECK(absl::IsInvalidArgument(s.Read(0, -1, &got)));
}

TEST_CASE("a missing or damaged chunk is data loss, never fewer rows") {
  ReaderSetup s;
  std::vector<double> got;
  SECTION("object gone") { s.blobs.objects.erase("k3"); }
  SECTION("object damaged") { s.blobs.objects["k3"][40] ^= 1; }
  SECTION("object of another chunk") { s.blobs.objects["k3"] = s.blobs.objects["k10"]; }
  SECTION("index gap") { s.store.chunks.erase(s.store.chunks.begin() + 3); }
  SECTION("index cut") { s.store.chunks.resize(3); }
  CHECK(absl::IsDataLoss(s.Read(0, 0, &got)));
}

TEST_CASE("a dataset that is not ready cannot be read") {
  ReaderSetup s;
  std::vector<double> got;
  s.store.dataset.state = DatasetState::kUploading;
  CHECK(absl::IsFailedPrecondition(s.Read(0, 0, &got)));
}

}  // namespace
}  // namespace vedette::ingest
