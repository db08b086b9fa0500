#include <zlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "ingest_app.h"
#include "messaging/consume.h"
#include "messaging/streams.h"
#include "services/ingest/adapters/object_blob_store.h"
#include "services/ingest/adapters/pg_upload_store.h"
#include "services/ingest/core/sweeper.h"
#include "table/csv.h"
#include "vedette/events/v1/events.pb.h"

namespace vedette::ingest {
namespace {

using testing::IngestApp;

constexpr char kRequest[] = "018f4e1c-0000-7000-8000-000000000001";

std::string Gzip(const std::string& text) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string Sales(int rows) {
  std::string text = "store,price,day,note\n";
  for (int i = 0; i < rows; ++i) {
    text += fmt::format("shop {},{:.3f},2024-01-{:02},\"n, {}\"\n", i % 7, std::sin(i) * 100, 1 + i % 28, i % 1000);
  }
  return text;
}

void CheckSame(const table::Table& got, const table::Table& wanted, int64_t first = 0) {
  REQUIRE(got.cols() == wanted.cols());
  for (int64_t j = 0; j < got.cols(); ++j) {
    const table::Column &g = got.columns[static_cast<size_t>(j)], &w = wanted.columns[static_cast<size_t>(j)];
    CHECK(g.name == w.name);
    REQUIRE(g.type == w.type);
    bool same = true;
    for (int64_t i = 0; i < got.rows(); ++i) {
      if (g.type == table::ColumnType::kCategorical) {
        same = same && g.IsMissing(i) == w.IsMissing(first + i) && g.Text(i) == w.Text(first + i);
      } else {
        same =
            same && std::memcmp(&g.values[static_cast<size_t>(i)], &w.values[static_cast<size_t>(first + i)], 8) == 0;
      }
    }
    CHECK(same);
  }
}

int64_t CountFiles(const std::string& folder) {
  int64_t n = 0;
  for (const auto& e : std::filesystem::recursive_directory_iterator(folder)) n += e.is_regular_file() ? 1 : 0;
  return n;
}

TEST_CASE("an upload can be read back, whole and in parts, and its fact is published") {
  IngestApp ingest;
  const std::string text = Sales(20000);
  const auto dataset = ingest.Upload(ingest.Acme(), text);
  INFO(dataset.status().ToString());
  REQUIRE(dataset.ok());
  CHECK(dataset->state() == v1::Dataset::READY);
  CHECK(dataset->row_count() == 20000);
  CHECK(dataset->size_bytes() == static_cast<int64_t>(text.size()));
  CHECK(dataset->sha256() == Sha256Hex(text));
  REQUIRE(dataset->columns_size() == 4);
  CHECK(dataset->columns(2).type() == common::v1::COLUMN_TYPE_TIMESTAMP);

  const auto source = table::ReadCsvText(text);
  REQUIRE(source.ok());
  std::vector<size_t> sizes;
  const auto whole = ingest.Read(ingest.Acme(), dataset->name(), 0, 0, &sizes);
  REQUIRE(whole.ok());
  CHECK(whole->rows() == 20000);
  CheckSame(*whole, source->table);
  CHECK(*std::max_element(sizes.begin(), sizes.end()) <= (1 << 20));
  for (const auto& [first, count] :
       std::vector<std::pair<int64_t, int64_t>>{{8190, 4}, {0, 1}, {19999, 5}, {8000, 9000}, {16384, 1}}) {
    const auto part = ingest.Read(ingest.Acme(), dataset->name(), first, count);
    REQUIRE(part.ok());
    CHECK(part->rows() == std::min<int64_t>(count, 20000 - first));
    CheckSame(*part, source->table, first);
  }
  CHECK(absl::IsOutOfRange(ingest.Read(ingest.Acme(), dataset->name(), 20001).status()));

  auto consumer = messaging::PullConsumer::Create(
      ingest.nats.get(), {.stream = messaging::kFactsStream, .durable = "t", .filter = "facts.dataset.ready"});
  REQUIRE(consumer.ok());
  std::stop_source stop;
  events::v1::DatasetReady fact;
  const auto handle = [&](const messaging::Message& m, std::stop_token) {
    CHECK(fact.ParseFromString(m.event.data));
    CHECK(m.event.tenant == "acme");
    stop.request_stop();
    return messaging::Outcome::Ack();
  };
  REQUIRE((*consumer)->Run(stop.get_token(), handle).ok());
  CHECK(fact.dataset() == dataset->name());
  CHECK(fact.row_count() == 20000);
}

TEST_CASE("a repeated request answers the first upload's dataset") {
  IngestApp ingest;
  const auto first = ingest.Upload(ingest.Acme(), Sales(100), kRequest);
  REQUIRE(first.ok());
  const auto again = ingest.Upload(ingest.Acme(), Sales(200), kRequest);
  REQUIRE(again.ok());
  CHECK(again->name() == first->name());
  CHECK(again->row_count() == 100);
  const auto other = ingest.Upload(ingest.keys.As("other", {"operator"}), Sales(200), kRequest);
  REQUIRE(other.ok());
  CHECK(other->name() != first->name());
}

TEST_CASE("an upload that breaks off leaves nothing, and its request can be sent again") {
  IngestApp ingest;
  const auto broken = ingest.Upload(ingest.Acme(), Sales(20000), kRequest, /*finish=*/false);
  CHECK(absl::IsAborted(broken.status()));
  const auto list =
      runtime::Call(*ingest.stub, &IngestApp::Stub::ListDatasets, ingest.Acme(), v1::ListDatasetsRequest());
  REQUIRE(list.ok());
  CHECK(list->datasets_size() == 0);
  CHECK(ingest.Upload(ingest.Acme(), Sales(100), kRequest).ok());
}

TEST_CASE("gzip, messy and unreadable files") {
  IngestApp ingest;
  SECTION("gzip") {
    const std::string text = Sales(3000);
    const auto dataset = ingest.Upload(ingest.Acme(), Gzip(text));
    REQUIRE(dataset.ok());
    CHECK(dataset->row_count() == 3000);
    CheckSame(*ingest.Read(ingest.Acme(), dataset->name()), table::ReadCsvText(text)->table);
  }
  SECTION("bad cells are named, good rows kept") {
    std::string text =
        "\xEF\xBB\xBF"
        "a;b;b\r\n";
    for (int i = 0; i < 100; ++i) text += fmt::format("{};{},5;x\r\n", i, i);
    text += "oops;7,5;y\r\n1;2\r\n";
    const auto dataset = ingest.Upload(ingest.Acme(), text);
    INFO(dataset.status().ToString());
    REQUIRE(dataset.ok());
    CHECK(dataset->row_count() == 102);
    CHECK(dataset->bad_cell_count() >= 1);
    REQUIRE(dataset->bad_cells_size() >= 1);
    CHECK(dataset->bad_cells(0).line() == 102);
    CHECK(dataset->bad_cells(0).text() == "oops");
    CHECK(dataset->notes_size() >= 1);
    v1::GetDatasetRequest get;
    get.set_name(dataset->name());
    const auto got = runtime::Call(*ingest.stub, &IngestApp::Stub::GetDataset, ingest.Acme(), get);
    REQUIRE(got.ok());
    CHECK(got->SerializeAsString() == dataset->SerializeAsString());
  }
  SECTION("unreadable: INVALID_ARGUMENT, remembered as FAILED, repeated alike") {
    for (const char* text : {"", "a,b\n", "a,b\n1,\"2\n"}) {
      CHECK(absl::IsInvalidArgument(ingest.Upload(ingest.Acme(), text).status()));
    }
    CHECK(absl::IsInvalidArgument(ingest.Upload(ingest.Acme(), "", kRequest).status()));
    CHECK(absl::IsInvalidArgument(ingest.Upload(ingest.Acme(), Sales(10), kRequest).status()));
    v1::ListDatasetsRequest list;
    list.set_filter("state = FAILED");
    const auto failed = runtime::Call(*ingest.stub, &IngestApp::Stub::ListDatasets, ingest.Acme(), list);
    REQUIRE(failed.ok());
    REQUIRE(failed->datasets_size() == 4);
    CHECK_FALSE(failed->datasets(0).error().empty());
  }
}

TEST_CASE("an upload beyond the limit is refused") {
  IngestApp ingest([](v1::Config& config) { config.mutable_upload()->set_max_bytes(10'000); });
  CHECK(absl::IsResourceExhausted(ingest.Upload(ingest.Acme(), Sales(10'000), "", true, 4096).status()));
  CHECK(ingest.Upload(ingest.Acme(), Sales(100)).ok());
}

TEST_CASE("a tenant neither sees nor touches another's dataset") {
  IngestApp ingest;
  const auto dataset = ingest.Upload(ingest.Acme(), Sales(100));
  REQUIRE(dataset.ok());
  const runtime::Outgoing other = ingest.keys.As("other", {"admin"});
  CHECK(absl::IsNotFound(ingest.Read(other, dataset->name()).status()));
  v1::GetDatasetRequest get;
  get.set_name(dataset->name());
  CHECK(absl::IsNotFound(runtime::Call(*ingest.stub, &IngestApp::Stub::GetDataset, other, get).status()));
  v1::DeleteDatasetRequest remove;
  remove.set_name(dataset->name());
  CHECK(absl::IsNotFound(runtime::Call(*ingest.stub, &IngestApp::Stub::DeleteDataset, other, remove).status()));
  CHECK(
      runtime::Call(*ingest.stub, &IngestApp::Stub::ListDatasets, other, v1::ListDatasetsRequest())->datasets_size() ==
      0);
  CHECK(ingest.Read(ingest.keys.AsService("acme"), dataset->name())->rows() == 100);
  CHECK(absl::IsPermissionDenied(ingest.Upload(ingest.keys.As("acme", {"viewer"}), Sales(1)).status()));
}

TEST_CASE("deleting removes the rows at once, and the sweeper the objects, a crashed upload's too") {
  IngestApp ingest;
  const auto dataset = ingest.Upload(ingest.Acme(), Sales(100));
  REQUIRE(dataset.ok());
  CHECK(CountFiles(ingest.objects.path()) == 1);
  v1::DeleteDatasetRequest remove;
  remove.set_name(dataset->name());
  REQUIRE(runtime::Call(*ingest.stub, &IngestApp::Stub::DeleteDataset, ingest.Acme(), remove).ok());
  CHECK(absl::IsNotFound(ingest.Read(ingest.Acme(), dataset->name()).status()));

  // What a process that died in the middle of an upload leaves: a row in UPLOADING, and chunks.
  PgUploadStore uploads(ingest.db.pool.get(), [] {});
  const auto crashed = uploads.Begin("acme", {.display_name = "half.csv"});
  REQUIRE(crashed.ok());
  auto directory = storage::DirectoryObjectStore::Create(ingest.objects.path());
  REQUIRE(directory.ok());
  ObjectBlobStore blobs(directory->get());
  REQUIRE(blobs.Put(crashed->attempt.Prefix("acme") + "/chunk-000000", "half").ok());
  CHECK(CountFiles(ingest.objects.path()) == 2);

  PgGarbageStore garbage(ingest.db.pool.get());
  const Sweeper patient(&garbage, &blobs, {.abandon_after = absl::Hours(1), .hold_back = -absl::Hours(1)});
  REQUIRE(patient.Sweep({}).ok());
  CHECK(CountFiles(ingest.objects.path()) == 1);
  CHECK(uploads.Touch("acme", crashed->attempt, 1).ok());
  const Sweeper hasty(&garbage, &blobs, {.abandon_after = -absl::Hours(1), .hold_back = -absl::Hours(1)});
  REQUIRE(hasty.Sweep({}).ok());
  CHECK(CountFiles(ingest.objects.path()) == 0);
  CHECK(absl::IsAborted(uploads.Touch("acme", crashed->attempt, 1)));
  CHECK(garbage.List(absl::InfiniteFuture(), 10)->empty());
}

TEST_CASE("a repetition takes an unfinished upload over, the older attempt has no effect any more") {
  IngestApp ingest;
  PgUploadStore uploads(ingest.db.pool.get(), [] {});
  const auto older = uploads.Begin("acme", {.request_id = kRequest});
  const auto newer = uploads.Begin("acme", {.request_id = kRequest});
  REQUIRE((older.ok() && newer.ok()));
  CHECK(older->attempt.dataset_id == newer->attempt.dataset_id);
  CHECK(absl::IsAborted(uploads.Touch("acme", older->attempt, 1)));
  CHECK(absl::IsAborted(uploads.Commit("acme", older->attempt, {}, {}).status()));
  CHECK(absl::IsAborted(uploads.Discard("acme", older->attempt)));
  CHECK(uploads.Commit("acme", newer->attempt, {.row_count = 3}, {})->row_count == 3);
}

TEST_CASE("lists: pages and filters") {
  IngestApp ingest;
  for (int i = 0; i < 5; ++i) REQUIRE(ingest.Upload(ingest.Acme(), Sales(i + 1)).ok());
  v1::ListDatasetsRequest list;
  list.set_page_size(2);
  std::vector<int64_t> rows;
  do {
    const auto page = runtime::Call(*ingest.stub, &IngestApp::Stub::ListDatasets, ingest.Acme(), list);
    REQUIRE(page.ok());
    CHECK(page->datasets_size() <= 2);
    for (const v1::Dataset& d : page->datasets()) rows.push_back(d.row_count());
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  CHECK(rows == std::vector<int64_t>{5, 4, 3, 2, 1});
  list.set_filter("row_count > 3 AND state = READY");
  CHECK(runtime::Call(*ingest.stub, &IngestApp::Stub::ListDatasets, ingest.Acme(), list)->datasets_size() == 2);
  list.set_filter("colour = red");
  CHECK(absl::IsInvalidArgument(
      runtime::Call(*ingest.stub, &IngestApp::Stub::ListDatasets, ingest.Acme(), list).status()));
}

TEST_CASE("an upload of several chunks goes through in bounded pieces") {
  IngestApp ingest;
  std::string text = "id,a,b,c,kind\n";
  text.reserve(9 << 20);
  for (int64_t i = 0; text.size() < (8u << 20); ++i) {
    text +=
        fmt::format("{},{:.6f},{},{:.3f},k{}\n", i, std::cos(static_cast<double>(i)), i * 7 % 1000, i * 0.25, i % 50);
  }
  const auto rows = static_cast<int64_t>(std::count(text.begin(), text.end(), '\n')) - 1;
  const absl::Time start = absl::Now();
  const auto dataset = ingest.Upload(ingest.Acme(), text);
  REQUIRE(dataset.ok());
  fmt::print("8 MB uploaded in {}\n", absl::FormatDuration(absl::Now() - start));
  CHECK(dataset->row_count() == rows);
  const absl::Time reading = absl::Now();
  std::vector<size_t> sizes;
  const auto tail = ingest.Read(ingest.Acme(), dataset->name(), rows - 100'000, 0, &sizes);
  REQUIRE(tail.ok());
  fmt::print("the last 100 000 rows read in {}, {} messages\n", absl::FormatDuration(absl::Now() - reading),
             sizes.size());
  CHECK(*std::max_element(sizes.begin(), sizes.end()) <= 4u << 20);  // what gRPC takes unless told otherwise
  CHECK(tail->columns[0].values.back() == static_cast<double>(rows - 1));
  CHECK(tail->columns[4].Text(99'999) == fmt::format("k{}", (rows - 1) % 50));
}

}  // namespace
}  // namespace vedette::ingest
