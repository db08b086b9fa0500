// Files as people really have them: each is either read, with what was odd reported, or refused with one clear line.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "cli/program.h"

namespace vedette::cli_test {
namespace {

bool Has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// One line "vedette detect: ..." on stderr that holds `why`, exit code 1, nothing on stdout.
void CheckRefused(const Outcome& r, std::string_view why) {
  INFO(r.out << r.err);
  CHECK(r.code == 1);
  CHECK(r.out.empty());
  CHECK(r.err.starts_with("vedette detect: "));
  CHECK(Has(r.err, why));
  CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
}

/// n ordinary rows of two columns.
std::string Ordinary(int n) {
  std::string text = "a,b\n";
  for (int i = 0; i < n; ++i) text += fmt::format("{},{}\n", 10 + (i * 7) % 5, 0.5 * ((i * 3) % 11));
  return text;
}

}  // namespace

TEST_CASE("files that cannot be used are refused with one line") {
  const Folder folder;
  CheckRefused(Vedette({"detect", folder.Path("none.csv")}), "cannot be opened");
  CheckRefused(Vedette({"detect", folder.Path(".")}), "is a folder");
  CheckRefused(Vedette({"detect", folder.Write("empty.csv", "")}), "empty");
  CheckRefused(Vedette({"detect", folder.Write("header.csv", "a,b,c\n")}), "header");
  CheckRefused(Vedette({"detect", "-"}, ""), "standard input");
  CheckRefused(Vedette({"detect", folder.Write("quote.csv", "a,b\n1,\"2\n3,4\n")}), "quote");
  CheckRefused(Vedette({"detect", folder.Write("null.csv", "a,b\n,\n,\n,\n")}), "column");
  const std::string whole = Gzip(Ordinary(5000));
  CheckRefused(Vedette({"detect", folder.Write("cut.csv.gz", whole.substr(0, whole.size() / 2))}), "cut.csv.gz");
}

TEST_CASE("bad cells are named by line, column and reason, and the other rows are used") {
  const Folder folder;
  const auto file = folder.Write("bad.csv", Ordinary(100) + "oops,1\n12,inf\n12,nan\n12\n12,1,3\n");
  const auto r = Vedette({"detect", file, "-f", "json"});
  INFO(r.out.substr(0, 2000) << r.err);
  REQUIRE(r.code == 0);
  CHECK(r.json()["rows_read"] == 105);
  CHECK(r.json()["bad_cells"].get<int>() >= 3);
  CHECK(Has(r.err, "treated as missing"));
  CHECK(Has(r.err, "line 102, column a: 'oops'"));
  CHECK(Vedette({"detect", file, "-f", "json", "--quiet"}).err.empty());
}

TEST_CASE("numbers as people write them") {
  const Folder folder;
  std::string text = "amount\tshare\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("\"1,{:03}.5\"\t{}%\n", i * 7 % 50, 10 + i % 5);
  text += "\"(91,234)\"\t12%\n";
  const auto r = Vedette({"detect", folder.Write("n.tsv", text), "-f", "json", "-a", "knn"});
  INFO(r.err);
  REQUIRE(r.code == 0);
  const auto top = r.json()["anomalies"][0];
  CHECK(top["raw_data"]["amount"] == -91234);
  CHECK(top["raw_data"]["share"].get<double>() == Approx(0.12));
}

TEST_CASE("odd shapes of tables are either analysed or refused, never a crash, never a NaN in JSON") {
  const Folder folder;
  std::string wide_head, wide_row;
  for (int j = 0; j < 10000; ++j) {
    wide_head += fmt::format("{}c{}", j == 0 ? "" : ",", j);
    wide_row += fmt::format("{}{}", j == 0 ? "" : ",", j % 7);
  }
  std::string wide = wide_head + "\n";
  for (int i = 0; i < 30; ++i) wide += fmt::format("{}{}\n", i * 31 % 17, wide_row.substr(1));
  const std::vector<std::pair<std::string, std::string>> files = {
      {"one row", "a,b\n1,2\n"},
      {"two rows", "a,b\n1,2\n2,3\n"},
      {"constant", "a,b\n5,5\n5,5\n5,5\n5,5\n5,5\n5,5\n"},
      {"one constant column", "a,b\n5,1\n5,2\n5,3.5\n5,4\n5,9\n5,100\n"},
      {"one null column", "a,b\n1,\n2,\n3,\n4,\n5.5,\n600,\n"},
      {"duplicate headers", "a,a,,\n1,2,3,4\n2,3,4,5.5\n3,4,5,7\n4,5,6,8\n"},
      {"huge values", "a\n1e308\n-1e308\n1e308\n1\n2\n3\n"},
      {"beyond a double", "a,b\n1e400,1\n2,2\n3,3.5\n4,4\n"},
      {"text only", "name\nanna\nbob\nanna\nbob\ncarl\nanna\n"},
      {"embedded newlines", "a,b\n\"x\ny\",1\n\"x\ny\",2\nz,3\nz,400\n"},
      {"windows-1252", "name,x\nM\xFCller,1\nM\xFCller,2\nMeier,3\nMeier,90\n"},
      {"no final newline", "a,b\n1,2\n3,4.5\n5,6\n7,800"},
      {"a nul byte", std::string("a,b\n1,2\n3\0,4\n5,6\n", 18)},
      {"10 000 columns", wide},
  };
  for (const auto& [name, text] : files) {
    const auto r = Vedette({"detect", folder.Write("f.csv", text), "-f", "json"});
    INFO(name << ": " << r.err);
    CHECK((r.code == 0 || r.code == 1));
    if (r.code == 0) {
      CHECK(r.json()["rows_read"].get<int>() > 0);
      CHECK_FALSE(Has(r.out, "NaN"));
    } else {
      CHECK(r.out.empty());
      CHECK(r.err.starts_with("vedette"));
    }
  }
}

TEST_CASE("a cell cannot steer the terminal of who reads the result") {
  const Folder folder;
  std::string text = "name,x\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("{},{}\n", i % 2 == 0 ? "a" : "b", i % 5);
  text += "\033]0;owned\007\033[2J,3\n";
  const auto r = Vedette({"detect", folder.Write("t.csv", text), "--all-rows", "--limit", "0"});
  CHECK(r.code == 0);
  CHECK_FALSE(Has(r.out, "\033"));
  CHECK_FALSE(Has(r.out, "\007"));
}

}  // namespace vedette::cli_test
