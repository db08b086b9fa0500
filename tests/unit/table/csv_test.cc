#include "table/csv.h"

#include <catch2/catch.hpp>
#include <zlib.h>

#include <cmath>
#include <string>

namespace vedette::table {
namespace {

CsvFile Read(std::string_view text, const CsvOptions& options = {}) {
  auto file = ReadCsvText(text, options);
  INFO(text.substr(0, 300));
  INFO(file.status().ToString());
  REQUIRE(file.ok());
  return *std::move(file);
}
std::string Error(std::string_view text, const CsvOptions& options = {}) {
  const auto file = ReadCsvText(text, options);
  REQUIRE_FALSE(file.ok());
  return file.status().ToString();
}
/// Names and types: "a:n b:c d:t".
std::string Types(const Table& table) {
  std::string out;
  for (const Column& column : table.columns) {
    out += (out.empty() ? "" : " ") + column.name + ":" + std::string(ColumnTypeName(column.type)).substr(0, 1);
  }
  return out;
}
bool HasNote(const ReadReport& report, std::string_view part) {
  for (const std::string& note : report.notes) {
    if (note.find(part) != note.npos) return true;
  }
  return false;
}
std::string Gzip(std::string_view text) {
  z_stream z = {};
  REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}
std::string Utf16(std::string_view ascii, bool big) {
  std::string out = big ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : ascii) out += big ? std::string{'\0', c} : std::string{c, '\0'};
  return out;
}

TEST_CASE("csv: types are inferred") {
  const CsvFile f = Read("n,c,t,b,e\n1,x,2024-01-02,true,\n2.5,y,2024-01-03 10:00,false,NA\n-3,x,2024-02-01,true,\n");
  CHECK(Types(f.table) == "n:n c:c t:t b:c e:n");
  CHECK(f.table.columns[1].codes == std::vector<int32_t>{0, 1, 0});
  CHECK(f.table.columns[3].categories == std::vector<std::string>{"true", "false"});
  CHECK(f.table.columns[4].IsMissing(0));
  CHECK(f.report.bad_cells == 0);
  CHECK(f.report.rows == 3);
}

TEST_CASE("csv: line ends CRLF, CR and LF, and a last line without one") {
  for (const std::string_view text : {"a,b\n1,x\n2,y\n", "a,b\r\n1,x\r\n2,y\r\n", "a,b\r1,x\r2,y\r", "a,b\n1,x\n2,y", "a,b\r\n\r\n1,x\r\n  \r\n2,y"}) {
    CAPTURE(text);
    CHECK(ToCsv(Read(text).table) == "a,b\n1,x\n2,y\n");
  }
}

TEST_CASE("csv: quotes") {
  const CsvFile f = Read("name,v\n\"a,b\",1\n\"say \"\"hi\"\"\",2\n\"two\nlines\", \"3\"\n5\" pipe,4\n \"lead\",5\n\"x\"y,6\n");
  CHECK(f.table.columns[0].categories == std::vector<std::string>{"a,b", "say \"hi\"", "two\nlines", "5\" pipe", "lead", "xy"});
  CHECK(f.table.columns[1].values == std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(Error("a,b\n1,2\n3,\"x\n4,5\n").find("line 3: the quote that opens here is never closed") != std::string::npos);
}

TEST_CASE("csv: the delimiter is found") {
  CHECK(Types(Read("a;b;c\n1;2;x\n3;4;y\n").table) == "a:n b:n c:c");
  CHECK(Types(Read("a\tb\n1\tx,y\n2\tz\n").table) == "a:n b:c");
  CHECK(Types(Read("a|b\n1|x\n").table) == "a:n b:c");
  CHECK(Types(Read("a\n1\n2\n").table) == "a:n");
  CHECK(Types(Read("sep=;\r\na;b\r\n1;2\r\n").table) == "a:n b:n");
  CHECK(Types(Read("a,b\n1;2,3\n", {.delimiter = ';'}).table) == "a,b:n");  // "2,3" has a decimal comma
  CHECK(Types(Read("1,5;2,5\n3,5;4,5\n").table) == "column_1:n column_2:n");
}

TEST_CASE("csv: decimal comma by the evidence of the column") {
  const CsvFile f = Read("amount;share;plain\n1.234,5;0,5;7\n2,25;0,75;8\n");
  CHECK(f.table.columns[0].values == std::vector<double>{1234.5, 2.25});
  CHECK(f.table.columns[1].values == std::vector<double>{0.5, 0.75});
  CHECK(HasNote(f.report, "column amount is read with a decimal comma"));
  // 1.234 alone leaves it open: it follows the other columns
  CHECK(Read("a;b\n1.234;0,5\n").table.columns[0].values[0] == 1234);
  CHECK(Read("a;b\n1.234;0.5\n").table.columns[0].values[0] == 1.234);
  CHECK(Read("a;b\n1.234;5\n").table.columns[0].values[0] == 1.234);
  CHECK(Read("a,b\n\"1,5\",x\n\"2,5\",y\n").table.columns[0].values[0] == 1.5);
  CHECK(Read("a,b\n\"1,500\",x\n\"2,500.25\",y\n").table.columns[0].values[0] == 1500);
}

TEST_CASE("csv: numbers that are no numbers are bad cells with place and reason") {
  std::string text = "v,w\n";
  for (int i = 0; i < 100; ++i) text += "1,2\n";
  text += "abc,1\n1e309,1\ninf,1\nnan,1\n1e308,1\n";
  const CsvFile f = Read(text);
  CHECK(f.table.columns[0].type == ColumnType::kNumeric);
  REQUIRE(f.report.bad_cells == 3);
  const BadCell& bad = f.report.first_bad_cells[0];
  CHECK(bad.line == 102);
  CHECK(bad.row == 100);
  CHECK(bad.column == "v");
  CHECK(bad.text == "abc");
  CHECK(bad.reason == "not a number");
  CHECK(f.report.first_bad_cells[1].reason == "too large for a double");
  CHECK(f.report.first_bad_cells[2].reason == "infinite");
  CHECK(f.table.columns[0].IsMissing(100));
  CHECK(f.table.columns[0].IsMissing(103));
  CHECK(f.table.columns[0].values[104] == 1e308);
}

TEST_CASE("csv: a column is numeric from 95 percent on, and later cells that disagree are bad") {
  std::string nineteen = "v\n", eighteen = "v\n";
  for (int i = 0; i < 20; ++i) nineteen += i == 3 ? "x\n" : "1\n";
  for (int i = 0; i < 20; ++i) eighteen += i < 2 ? "x\n" : "1\n";
  CHECK(Types(Read(nineteen).table) == "v:n");
  CHECK(Types(Read(eighteen).table) == "v:c");
  const CsvFile late = Read("v\n1\n2\nx\ny\n", {.infer_rows = 2});
  CHECK(Types(late.table) == "v:n");
  CHECK(late.report.bad_cells == 2);
}

TEST_CASE("csv: short and long records are kept and reported") {
  const CsvFile f = Read("a,b,c\n1,2,3\n4\n5,6,7,8\n9,9,9,,\n");
  CHECK(ToCsv(f.table) == "a,b,c\n1,2,3\n4,,\n5,6,7\n9,9,9\n");
  REQUIRE(f.report.bad_cells == 2);
  CHECK(f.report.first_bad_cells[0].column == "b");
  CHECK(f.report.first_bad_cells[0].reason == "record has 1 fields, the header has 3");
  CHECK(f.report.first_bad_cells[1].text == "8");
  CHECK(HasNote(f.report, "line 5: empty cells beyond the last column"));
}

TEST_CASE("csv: headers that are empty, repeated, absent or one name short") {
  const CsvFile f = Read("a,,a,a_2,a\n1,2,3,4,5\n");
  CHECK(Types(f.table) == "a:n column_2:n a_3:n a_2:n a_4:n");
  CHECK(HasNote(f.report, "column 2 had no name"));
  const CsvFile none = Read("1,2.5\n3,4\n");
  CHECK(Types(none.table) == "column_1:n column_2:n");
  CHECK(none.table.rows() == 2);
  CHECK(HasNote(none.report, "all numbers"));
  const CsvFile r = Read("x,y\nfirst,1,2\nsecond,3,4\n");
  CHECK(Types(r.table) == "column_1:c x:n y:n");
  CHECK(Types(Read("2019,2020\n1,2\n", {.schema = {{"2020", ColumnType::kNumeric}}}).table) == "2020:n");
}

TEST_CASE("csv: empty inputs, a header only, one row") {
  for (const std::string_view text : {"", "\n\n", "\xEF\xBB\xBF", "  \r\n"}) CHECK(Error(text).find("the input is empty") != std::string::npos);
  CHECK(Error("a,b\n").find("a header but no data") != std::string::npos);
  CHECK(Read("a,b\n1,2\n").table.rows() == 1);
  CHECK(Read("5").table.rows() == 1);
}

TEST_CASE("csv: encodings") {
  const CsvFile bom = Read("\xEF\xBB\xBF" "a,b\n1,\xC3\xA9\n");
  CHECK(Types(bom.table) == "a:n b:c");
  const CsvFile latin = Read("a,caf\xE9\n1,\xE9t\xE9\n2,\x80\n");
  CHECK(latin.table.columns[1].name == "caf\xC3\xA9");
  CHECK(latin.table.columns[1].categories == std::vector<std::string>{"\xC3\xA9t\xC3\xA9", "\xE2\x82\xAC"});
  CHECK(Read("v\n\x80 3.50\n1\xA0""234\n").table.columns[0].values == std::vector<double>{3.5, 1234});
  CHECK(HasNote(latin.report, "2 cells that are not UTF-8 were converted from Windows-1252"));
  const std::string text = "a,b\r\n1,x\r\n2,y\r\n";
  for (const bool big : {false, true}) {
    const CsvFile f = Read(Utf16(text, big));
    CHECK(ToCsv(f.table) == "a,b\n1,x\n2,y\n");
    CHECK(HasNote(f.report, "UTF-16"));
    CHECK(ToCsv(Read(Utf16(text, big).substr(2)).table) == "a,b\n1,x\n2,y\n");
  }
}

TEST_CASE("csv: what is no CSV says so") {
  CHECK(Error("PK\x03\x04rest").find("an Excel workbook or another zip file, not CSV") != std::string::npos);
  CHECK(Error("%PDF-1.7 ...").find("a PDF file") != std::string::npos);
}

TEST_CASE("csv: zero bytes make bad cells, not crashes") {
  const std::string text("a,b\n1,x\n2,y\0z\n3\0,w\n", 19);
  const CsvFile f = Read(text, {.schema = {{"a", ColumnType::kNumeric}, {"b", ColumnType::kCategorical}}});
  CHECK(f.report.bad_cells == 2);
  CHECK(f.report.first_bad_cells[0].text == "y?z");
}

TEST_CASE("csv: gzip, concatenated, damaged, cut short") {
  const std::string a = Gzip("a,b\n1,x\n"), b = Gzip("2,y\n");
  CHECK(ToCsv(Read(a + b).table) == "a,b\n1,x\n2,y\n");
  CHECK(Read(a + std::string(600, '\0')).table.rows() == 1);
  for (size_t n = 2; n < a.size(); ++n) CHECK(absl::IsDataLoss(ReadCsvText(a.substr(0, n)).status()));
  std::string damaged = a;
  damaged[a.size() - 6] ^= 1;  // the checksum
  CHECK(absl::IsDataLoss(ReadCsvText(damaged).status()));
  CHECK(absl::IsDataLoss(ReadCsvText(a + "tail").status()));
}

TEST_CASE("csv: a gzip bomb and an open quote stay within the limit of a record") {
  const std::string bomb = Gzip(std::string(64 << 20, 'x'));
  CHECK(bomb.size() < (1 << 17));
  CHECK(Error(bomb, {.max_record_bytes = 1 << 20}).find("line 1: the record is longer than") != std::string::npos);
  const std::string open = "a,b\n1,2\n3,\"" + std::string(3 << 20, 'y');
  CHECK(Error(open, {.max_record_bytes = 1 << 20}).find("line 3: the quote that opens here is not closed") != std::string::npos);
  CHECK(Error("a\n1\n2\n", {.max_text_bytes = 3}).find("more than 3 bytes") != std::string::npos);
}

TEST_CASE("csv: more columns than allowed is an error, ten thousand are not") {
  std::string header, row;
  for (int j = 0; j < 10000; ++j) {
    header += (j > 0 ? ",c" : "c") + std::to_string(j);
    row += (j > 0 ? "," : "") + std::to_string(j);
  }
  const std::string text = header + "\n" + row + "\n" + row + "\n";
  const CsvFile f = Read(text);
  CHECK(f.table.cols() == 10000);
  CHECK(f.table.columns[9999].values == std::vector<double>{9999, 9999});
  CHECK(Error(text, {.max_columns = 9999}).find("10000 columns") != std::string::npos);
}

TEST_CASE("csv: distinct texts are bounded by number and by memory") {
  std::string text = "k\n";
  for (int i = 0; i < 50; ++i) text += "t" + std::to_string(i) + "\n";
  const CsvFile f = Read(text, {.max_categories = 10});
  CHECK(f.table.columns[0].categories.size() == 10);
  CHECK(f.report.bad_cells == 40);
  CHECK(Read(text, {.max_category_bytes = 700}).table.columns[0].categories.size() == 10);
}

TEST_CASE("csv: a schema reads its columns by name, in its order, with its types") {
  const std::string text = "a,b,c\n1,2,x\n3,y,z\n";
  const CsvFile f = Read(text, {.schema = {{"c", ColumnType::kCategorical}, {"b", ColumnType::kNumeric}}});
  CHECK(Types(f.table) == "c:c b:n");
  CHECK(f.report.bad_cells == 1);
  CHECK(Types(Read(text, {.schema = {{"c", ColumnType::kCategorical}}, .keep_other_columns = true}).table) == "c:c a:n b:c");
  CHECK(Error(text, {.schema = {{"nope", ColumnType::kNumeric}}}).find("no column named 'nope'") != std::string::npos);
  CHECK(Error(text, {.schema = {{"a", ColumnType::kNumeric}, {"a", ColumnType::kNumeric}}}).find("twice") != std::string::npos);
}

TEST_CASE("csv: date order by the evidence of the column") {
  CHECK(Read("d\n03/04/2024\n25/04/2024\n").table.columns[0].Text(0) == "2024-04-03T00:00:00Z");
  CHECK(Read("d\n03/04/2024\n04/25/2024\n").table.columns[0].Text(0) == "2024-03-04T00:00:00Z");
  const CsvFile open = Read("d\n03/04/2024\n05/06/2024\n");
  CHECK(open.table.columns[0].Text(0) == "2024-03-04T00:00:00Z");
  CHECK(HasNote(open.report, "no date shows"));
}

TEST_CASE("csv: batches come in order, share one dictionary, and an error of the receiver ends the reading") {
  std::string text = "v,k\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + ",k" + std::to_string(i % 7) + "\n";
  int64_t rows = 0;
  std::vector<int64_t> sizes;
  CsvReader reader({.batch_rows = 300}, [&](Table&& batch) {
    sizes.push_back(batch.rows());
    for (int64_t i = 0; i < batch.rows(); ++i, ++rows) {
      CHECK(batch.columns[0].values[static_cast<size_t>(i)] == static_cast<double>(rows));
      CHECK(batch.columns[1].Text(i) == "k" + std::to_string(rows % 7));
    }
    return absl::OkStatus();
  });
  REQUIRE(reader.Feed(text).ok());
  REQUIRE(reader.Finish().ok());
  CHECK(sizes == std::vector<int64_t>{300, 300, 300, 100});
  CHECK(reader.schema().size() == 2);
  CHECK(absl::IsFailedPrecondition(reader.Feed("x")));
  CsvReader failing({.infer_rows = 100, .batch_rows = 10}, [](Table&&) { return absl::ResourceExhaustedError("full"); });
  CHECK(absl::IsResourceExhausted(failing.Feed(text + std::string(1 << 17, '\n'))));
  CHECK(absl::IsResourceExhausted(failing.Feed("1")));
  CHECK(absl::IsResourceExhausted(failing.Finish()));
}

TEST_CASE("csv: two gigabytes go through without being held") {
  // 4 MiB of rows, again and again: the reader sees more than 2 GiB of text. Positions, lines and counts must not wrap.
  const std::string row = "17," + std::string(500, 'x') + ",-0.125\n";
  std::string block;
  while (block.size() < (4 << 20)) block += row;
  int64_t rows = 0;
  double sum = 0;
  const Schema schema = {{"a", ColumnType::kNumeric}, {"b", ColumnType::kNumeric}};
  CsvReader reader({.schema = schema}, [&](Table&& batch) {
    rows += batch.rows();
    for (const double v : batch.columns[1].values) sum += v;
    return batch.rows() <= 8192 ? absl::OkStatus() : absl::InternalError("a batch is too large");
  });
  REQUIRE(reader.Feed("a,text,b\n").ok());
  int64_t fed = 0;
  for (; fed < (int64_t{5} << 29); fed += static_cast<int64_t>(block.size())) REQUIRE(reader.Feed(block).ok());
  REQUIRE(reader.Feed("1,x,y\n").ok());
  REQUIRE(reader.Finish().ok());
  CHECK(rows == fed / static_cast<int64_t>(row.size()) + 1);
  CHECK(std::isnan(sum));
  REQUIRE(reader.report().bad_cells == 1);
  CHECK(reader.report().first_bad_cells[0].line == rows + 1);
  CHECK(reader.report().bytes == fed + 15);
}

TEST_CASE("csv: files") {
  CHECK(absl::IsNotFound(ReadCsvFile("/nonexistent/file.csv").status()));
  CHECK_FALSE(ReadCsvFile(VEDETTE_SOURCE_DIR).ok());  // a directory
}

}  // namespace
}  // namespace vedette::table
