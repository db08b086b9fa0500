#include "services/ingest/core/uploader.h"

#include <catch2/catch.hpp>

#include "base/hash.h"
#include "fakes.h"
#include "services/ingest/core/chunk_codec.h"
#include "services/ingest/core/dataset_reader.h"
#include "services/ingest/core/sweeper.h"
#include "table/rows.h"

namespace vedette::ingest {
namespace {

/// Gives `text` in pieces, and then `end` (OK: the end mark).
ByteSource Pieces(std::string text, size_t piece, absl::Status end = absl::OkStatus()) {
  return [text = std::move(text), piece, end,
          at = size_t{0}]() mutable -> absl::StatusOr<std::optional<std::string_view>> {
    if (at >= text.size()) {
      if (!end.ok()) return end;
      return std::optional<std::string_view>();
    }
    const std::string_view next = std::string_view(text).substr(at, piece);
    at += next.size();
    return std::optional<std::string_view>(next);
  };
}

std::string Numbers(int rows) {
  std::string text = "n,word\n";
  for (int i = 0; i < rows; ++i) text += fmt::format("{},{}\n", i * 0.5, i % 3 == 0 ? "red" : "blue");
  return text;
}

struct Setup {
  FakeStore store;
  FakeBlobs blobs;
  UploadOptions options{.chunk_rows = 100};

  absl::StatusOr<Dataset> Upload(const ByteSource& source, const Context& context = {}) {
    return Uploader(&store, &blobs, options).Upload("acme", {.display_name = "t.csv"}, source, context);
  }
};

TEST_CASE("an upload becomes chunks that follow each other and give the rows back") {
  Setup s;
  const std::string text = Numbers(250);
  const auto dataset = s.Upload(Pieces(text, 7));
  REQUIRE(dataset.ok());
  CHECK(s.store.log == "begin commit ");
  CHECK(dataset->row_count == 250);
  CHECK(dataset->size_bytes == static_cast<int64_t>(text.size()));
  CHECK(dataset->sha256 == Sha256Hex(text));
  REQUIRE(dataset->columns.size() == 2);
  CHECK(dataset->columns[1].type == table::ColumnType::kCategorical);
  REQUIRE(s.store.chunks.size() == 3);
  CHECK(s.store.chunks[2].first_row == 200);
  CHECK(s.store.chunks[2].rows == 50);
  CHECK(s.blobs.objects.begin()->first == "datasets/acme/d1/a1/chunk-000000");
  table::TableBuilder rows;
  for (const Chunk& chunk : s.store.chunks) REQUIRE(rows.Append(*DecodeChunk(s.blobs.objects[chunk.key])).ok());
  const table::Table all = rows.Take();
  CHECK(all.columns[0].values[249] == 124.5);
  CHECK(all.columns[1].Text(3) == "red");
}

TEST_CASE("wide tables get fewer rows a chunk") {
  Setup s;
  s.options.chunk_cells = 20;
  REQUIRE(s.Upload(Pieces(Numbers(25), 1000)).ok());
  REQUIRE(s.store.chunks.size() == 3);
  CHECK(s.store.chunks[0].rows == 10);
}

TEST_CASE("an empty file fails and is remembered as failed") {
  Setup s;
  CHECK(absl::IsInvalidArgument(s.Upload(Pieces("", 10)).status()));
  CHECK(s.store.log == "begin fail ");
  CHECK_FALSE(s.store.dataset.error.empty());
}

TEST_CASE("a file that is too large is refused at the byte that is too many") {
  Setup s;
  s.options.max_bytes = 100;
  CHECK(absl::IsResourceExhausted(s.Upload(Pieces(Numbers(1000), 64)).status()));
  CHECK(s.store.log == "begin fail ");
  CHECK(s.store.dataset.size_bytes == 128);
}

TEST_CASE("a caller that went away leaves nothing behind") {
  Setup s;
  CHECK(absl::IsAborted(s.Upload(Pieces(Numbers(50), 64, absl::AbortedError("gone"))).status()));
  CHECK(s.store.log == "begin discard ");
}

TEST_CASE("a store that fails is not the file's fault") {
  Setup s;
  s.blobs.fail_put = absl::UnavailableError("disk full");
  CHECK(absl::IsUnavailable(s.Upload(Pieces(Numbers(250), 64)).status()));
  CHECK(s.store.log == "begin discard ");
}

TEST_CASE("an unknown outcome of the commit is left to the sweeper") {
  Setup s;
  s.store.commit_status = absl::UnavailableError("connection broke");
  CHECK(absl::IsUnavailable(s.Upload(Pieces(Numbers(5), 64)).status()));
  CHECK(s.store.log == "begin commit ");
}

TEST_CASE("a repeated request answers with what there is") {
  Setup s;
  s.store.finished = Dataset{.id = "d7", .state = DatasetState::kReady};
  CHECK(s.Upload(Pieces("never read", 1))->id == "d7");
  s.store.finished->state = DatasetState::kFailed;
  s.store.finished->error = "empty";
  CHECK(absl::IsInvalidArgument(s.Upload(Pieces("", 1)).status()));
  CHECK(s.store.log == "begin begin ");
}

TEST_CASE("a long upload shows signs of life before it takes more bytes") {
  Setup s;
  ManualClock clock(absl::UnixEpoch());
  const std::string text = Numbers(30);
  int calls = 0;
  ByteSource source = Pieces(text, 50);
  const ByteSource slow = [&]() {
    if (++calls == 3) clock.Advance(absl::Seconds(6));
    return source();
  };
  s.store.touch_status = absl::AbortedError("taken over");
  const auto got = Uploader(&s.store, &s.blobs, s.options, clock).Upload("acme", {}, slow, {});
  CHECK(absl::IsAborted(got.status()));
  CHECK(s.store.log == "begin touch discard ");
  CHECK(s.store.touched_bytes == 100);
  CHECK(s.blobs.objects.empty());
}

TEST_CASE("the sweeper removes objects and then forgets them") {
  Setup s;
  ManualClock clock(absl::FromUnixSeconds(1000));
  REQUIRE(s.Upload(Pieces(Numbers(250), 64)).ok());
  for (int i = 0; i < 250; ++i) s.store.garbage.push_back({"acme", fmt::format("datasets/acme/d1/x{}", i)});
  s.store.garbage.push_back({"acme", "datasets/acme/d1/a1"});
  REQUIRE(Sweeper(&s.store, &s.blobs, {.abandon_after = absl::Seconds(100)}, clock).Sweep({}).ok());
  CHECK(s.store.garbage.empty());
  CHECK(s.blobs.objects.empty());
  CHECK(s.store.abandoned_before == absl::FromUnixSeconds(900));
}

}  // namespace
}  // namespace vedette::ingest
