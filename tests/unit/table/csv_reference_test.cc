// The reader against the reference parser on random inputs, under every way of cutting them.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "base/rng.h"
#include "reference_csv.h"
#include "table/cell.h"
#include "table/csv.h"

namespace vedette::table {
namespace {

/// Text columns c0..cN, so that every cell comes back as it was written.
Schema TextSchema(size_t columns) {
  Schema schema;
  for (size_t j = 0; j < columns; ++j) schema.push_back({"c" + std::to_string(j), ColumnType::kCategorical});
  return schema;
}

std::string Header(size_t columns, char delimiter) {
  std::string header;
  for (size_t j = 0; j < columns; ++j) header += (j > 0 ? std::string(1, delimiter) : "") + "c" + std::to_string(j);
  return header + "\n";
}

struct Outcome {
  bool ok = false;
  std::string error;
  std::string csv;
  int64_t rows = 0, bad = 0;
  std::vector<BadCell> cells;
  bool operator==(const Outcome& o) const { return ok == o.ok && error == o.error && csv == o.csv && rows == o.rows && bad == o.bad; }
};

/// Feeds the pieces that `cuts` (rising positions) make of the text.
Outcome ReadInPieces(std::string_view text, const CsvOptions& options, const std::vector<size_t>& cuts) {
  Outcome out;
  Table all;
  CsvReader reader(options, [&all](Table&& batch) {
    if (all.columns.empty()) {
      all = std::move(batch);
      return absl::OkStatus();
    }
    for (size_t j = 0; j < all.columns.size(); ++j) {
      Column& to = all.columns[j];
      const Column& from = batch.columns[j];
      to.values.insert(to.values.end(), from.values.begin(), from.values.end());
      to.codes.insert(to.codes.end(), from.codes.begin(), from.codes.end());
      to.categories = from.categories;
    }
    return absl::OkStatus();
  });
  absl::Status status;
  size_t at = 0;
  for (const size_t cut : cuts) {
    if (status.ok()) status = reader.Feed(text.substr(at, cut - at));
    at = cut;
  }
  if (status.ok()) status = reader.Feed(text.substr(at));
  if (status.ok()) status = reader.Finish();
  out.ok = status.ok();
  out.error = status.ToString();
  out.csv = ToCsv(all);
  out.rows = reader.report().rows;
  out.bad = reader.report().bad_cells;
  out.cells = reader.report().first_bad_cells;
  return out;
}

std::string RandomText(Rng& rng, char delimiter) {
  const std::string_view alphabet[] = {"a", "b", "7", " ", "\"", "\"", "\"\"", "\n", "\r", "\r\n", "\n", "xyz",
                                       "long text that fills more than one block of sixty-four bytes when repeated, and again, and so on"};
  std::string text;
  const uint64_t pieces = rng.Below(60);
  for (uint64_t i = 0; i < pieces; ++i) {
    if (rng.Below(3) == 0) {
      text += delimiter;
    } else {
      text += alphabet[rng.Below(std::size(alphabet))];
    }
  }
  return text;
}

TEST_CASE("csv: agrees with the reference parser on random texts") {
  Rng rng(7);
  int compared = 0, open = 0;
  for (int round = 0; round < 6000; ++round) {
    const char delimiter = ",;\t|"[rng.Below(4)];
    const size_t columns = 1 + rng.Below(4);
    const std::string text = Header(columns, delimiter) + RandomText(rng, delimiter);
    CAPTURE(round, text);
    bool open_quote = false;
    auto expected = ReferenceRecords(text, delimiter, &open_quote);
    CsvOptions options;
    options.delimiter = delimiter;
    options.schema = TextSchema(columns);
    const auto file = ReadCsvText(text, options);
    if (open_quote) {
      ++open;
      REQUIRE(absl::IsInvalidArgument(file.status()));
      continue;
    }
    if (expected.size() == 1) {
      REQUIRE(absl::IsInvalidArgument(file.status()));
      continue;
    }
    // A header that is one name short of every row is read as R writes it; the schema then still names c0...
    bool one_more = expected.size() > 1;
    for (size_t i = 1; i < expected.size(); ++i) one_more = one_more && expected[i].size() == columns + 1;
    if (one_more) continue;
    INFO(file.status().ToString());
    REQUIRE(file.ok());
    CAPTURE(ToCsv(file->table));
    REQUIRE(file->table.rows() == static_cast<int64_t>(expected.size()) - 1);
    int64_t ragged = 0;
    for (size_t i = 1; i < expected.size(); ++i) {
      bool extra = false;
      for (size_t j = columns; j < expected[i].size(); ++j) extra = extra || !expected[i][j].empty();
      if (expected[i].size() < columns) ++ragged;
      for (size_t j = 0; j < columns; ++j) {
        const std::string want = j < expected[i].size() && !IsMissingText(expected[i][j]) ? expected[i][j] : "";
        REQUIRE(file->table.columns[j].Text(static_cast<int64_t>(i) - 1) == want);
      }
    }
    REQUIRE(file->report.bad_cells >= ragged);
    ++compared;
  }
  CHECK(compared > 2000);
  CHECK(open > 500);
}

TEST_CASE("csv: any way of cutting the input gives the same table") {
  const std::string texts[] = {
      "a,b,c\r\n1,\"x\r\ny\",2\r\n\r\n3,\"q\"\"q\",\r4,z,5\n",
      "\xEF\xBB\xBF" "a;b\n1,5;x\n\"2,5\";y\n1.234,5;\"z;\"\n",
      "sep=|\r\na|b\r\n1|2\r\n3|4",
      "1,2\n3,4\n",
      "a,b\n1,2\n3,\"open\n4,5\n",
      std::string("\xFF\xFE" "a\0,\0b\0\n\0" "1\0,\0\xE4\0\n\0" "2\0,\0=\xD8\x00\xDE\n\0", 28),
      "t,v\n2024-01-02 03:04:05,1\n2024-01-03,x\n2024-02-30,2\n,3\n",
      "a,b\n1\n1,2,3\n1,2,,\n",
  };
  for (const std::string& text : texts) {
    CAPTURE(text);
    const Outcome whole = ReadInPieces(text, {}, {});
    for (size_t i = 0; i <= text.size(); ++i) {
      for (size_t j = i; j <= text.size(); ++j) {
        const Outcome cut = ReadInPieces(text, {}, {i, j});
        if (!(cut == whole)) {
          CAPTURE(i, j, whole.csv, cut.csv, whole.error, cut.error);
          REQUIRE(cut == whole);
        }
      }
    }
    std::vector<size_t> every;
    for (size_t i = 0; i < text.size(); ++i) every.push_back(i);
    CHECK(ReadInPieces(text, {}, every) == whole);
  }
}

TEST_CASE("csv: random cuts, batch sizes and inference windows give the same table on texts of many blocks") {
  Rng rng(11);
  for (int round = 0; round < 60; ++round) {
    std::string text = "n,t,d\n";
    const uint64_t rows = 50 + rng.Below(3000);
    for (uint64_t i = 0; i < rows; ++i) {
      text += std::to_string(rng.Normal()) + ",";
      const uint64_t k = rng.Below(8);
      text += k == 0 ? "\"a,\n\"\"b\"" : k == 1 ? "\"" + std::string(rng.Below(200), 'x') + "\"" : "t" + std::to_string(rng.Below(5));
      text += k == 2 ? ",\r\n" : k == 3 ? ",2024-01-02T03:04:05Z\r" : ",2024-01-02\n";
    }
    CsvOptions options;
    const Outcome whole = ReadInPieces(text, options, {});
    REQUIRE(whole.ok);
    REQUIRE(whole.rows == static_cast<int64_t>(rows));
    std::vector<size_t> cuts;
    for (size_t at = rng.Below(500); at < text.size(); at += 1 + rng.Below(5000)) cuts.push_back(at);
    options.batch_rows = 1 + static_cast<int64_t>(rng.Below(1000));
    REQUIRE(ReadInPieces(text, options, cuts) == whole);
  }
}

TEST_CASE("csv: writing and reading again gives the same table") {
  Rng rng(13);
  int read = 0;
  for (int round = 0; round < 3000; ++round) {
    const char delimiter = ",;\t|"[rng.Below(4)];
    const std::string text = RandomText(rng, delimiter);
    const auto first = ReadCsvText(text);
    if (!first.ok()) continue;
    ++read;
    const std::string written = ToCsv(first->table);
    CAPTURE(text, written);
    const auto second = ReadCsvText(written);
    INFO(second.status().ToString());
    REQUIRE(second.ok());
    REQUIRE(ToCsv(second->table) == written);
    REQUIRE(second->table.rows() == first->table.rows());
    REQUIRE(second->report.bad_cells == 0);
    for (size_t j = 0; j < first->table.columns.size(); ++j) {
      REQUIRE(second->table.columns[j].name == first->table.columns[j].name);
      REQUIRE(second->table.columns[j].type == first->table.columns[j].type);
    }
  }
  CHECK(read > 1000);
}

}  // namespace
}  // namespace vedette::table
