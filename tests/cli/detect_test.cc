// vedette detect, fit, score and explain on small tables: what is found, and how it is said.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "cli/program.h"

namespace vedette::cli_test {
namespace {

bool Has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

size_t LongestLine(const std::string& text) {
  size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == '\n' ? 0 : run + ((static_cast<unsigned char>(c) & 0xC0) != 0x80);
    longest = std::max(longest, run);
  }
  return longest;
}

}  // namespace

TEST_CASE("detect prints the odd row in plain words, within 80 columns, without colour") {
  const Folder folder;
  const auto r = Vedette({"detect", folder.Write("t.csv", SmallTable()), "--contamination", "0.01"});
  INFO(r.out << r.err);
  CHECK(r.code == 0);
  CHECK(Has(r.out, "200 rows, 3 of 3 columns used"));
  CHECK(Has(r.out, "Algorithm: iforest (auto: "));
  CHECK(Has(r.out, "Threshold: "));
  CHECK(Has(r.out, "units 940, expected about 1"));
  CHECK_FALSE(Has(r.out, "\033["));
  CHECK(LongestLine(r.out.substr(r.out.find('\n') + 1)) <= 80);
}

TEST_CASE("auto shows its best three, with reason, expected quality and cost") {
  const Folder folder;
  std::string text = "a,b,c\n";
  for (int i = 0; i < 300; ++i) text += std::to_string((i * 37) % 101) + "," + std::to_string((i * 53) % 97) + "," + std::to_string(i % 2 ? 2 * i : 3) + "\n";
  const auto file = folder.Write("t.csv", text);
  const auto j = Vedette({"detect", file, "--algorithm", "auto", "-f", "json"}).json();
  REQUIRE(j["algorithm_picks"].size() == 3);
  CHECK(j["algorithm_picks"][0]["algorithm"] == j["algorithm"]);
  CHECK(j["algorithm_picks"][0]["reason"] == j["algorithm_reason"]);
  for (const auto& pick : j["algorithm_picks"]) {
    CHECK(pick["reason"].get<std::string>().size() > 20);
    CHECK(pick["expected_quality"].get<double>() > 0.5);
    CHECK(pick["expected_quality"].get<double>() <= 1);
    CHECK(pick["fit_seconds"].get<double>() > 0);
    CHECK(pick["score_seconds_per_row"].get<double>() > 0);
    CHECK(pick["parameters"].is_object());
  }
  const auto table = Vedette({"detect", file, "--algorithm", "auto"});
  CHECK(Has(table.out, "chosen "));
  CHECK(Has(table.out, "else "));
  CHECK(Has(table.out, "expected ROC AUC 0."));
  CHECK_FALSE(Vedette({"detect", file, "-a", "iforest", "-f", "json"}).json().contains("algorithm_picks"));
}

TEST_CASE("detect writes JSON with the fields that were promised") {
  const Folder folder;
  for (const std::string algorithm : {"iforest", "ecod", "knn", "pca"}) {
    const auto r = Vedette(
        {"detect", folder.Write("t.csv", SmallTable()), "-a", algorithm, "-f", "json", "--contamination", "0.05"});
    INFO(algorithm << r.err);
    REQUIRE(r.code == 0);
    const auto j = r.json();
    CHECK(j["algorithm"] == algorithm);
    CHECK(j["rows_read"] == 200);
    CHECK(j["anomalies_found"] == j["anomalies"].size());
    REQUIRE(!j["anomalies"].empty());
    const auto& top = j["anomalies"][0];
    CHECK(top["row_index"] == 100);
    CHECK(top["anomaly_score"].is_number());
    CHECK(top["probability"].get<double>() > 0.5);
    CHECK(top["severity"].is_string());
    CHECK(top["is_anomaly"] == true);
    CHECK(top["raw_data"]["units"] == 940);
    CHECK(top["raw_data"]["colour"] == "green");
    REQUIRE(!top["anomalous_features"].empty());
    CHECK(top["anomalous_features"].size() <= 3);
    const auto& feature = top["anomalous_features"][0];
    CHECK(feature["feature_name"] == "units");
    CHECK(feature["actual_value"] == 940);
    CHECK(feature["expected_value"].get<double>() < 20);
    CHECK(feature["contribution"].get<double>() > 0);
    CHECK(feature["direction"] == "high");
    for (size_t i = 1; i < j["anomalies"].size(); ++i) {
      CHECK(j["anomalies"][i - 1]["anomaly_score"] >= j["anomalies"][i]["anomaly_score"]);
    }
  }
}

TEST_CASE("detect writes CSV, one line a row, with the file's own columns at the end") {
  const Folder folder;
  const auto r = Vedette({"detect", folder.Write("t.csv", SmallTable()), "-f", "csv", "--all-rows", "-a", "ecod"});
  REQUIRE(r.code == 0);
  CHECK(r.out.starts_with("row_index,anomaly_score,probability,severity,is_anomaly,feature_1,actual_1,expected_1,"));
  CHECK(Has(r.out.substr(0, r.out.find('\n')), ",units,price,colour"));
  CHECK(std::count(r.out.begin(), r.out.end(), '\n') == 201);
  CHECK(Has(r.err, "200 rows"));  // the summary, beside the result
  CHECK(Vedette({"detect", folder.Path("t.csv"), "-f", "csv", "--quiet"}).err.empty());
}

TEST_CASE("the same seed gives the same bytes at any number of threads, another seed does not matter to ecod") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable());
  const auto one = Vedette({"detect", file, "-f", "json", "--threads", "1", "-a", "iforest"});
  CHECK(one.code == 0);
  CHECK(one.out == Vedette({"detect", file, "-f", "json", "--threads", "4", "-a", "iforest"}).out);
  CHECK(one.out != Vedette({"detect", file, "-f", "json", "--seed", "7", "-a", "iforest"}).out);
}

TEST_CASE("flags --limit, --top-features, --ignore-columns, --threshold-percentile and --output do what they say") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable());
  auto j =
      Vedette({"detect", file, "-f", "json", "--limit", "2", "--top-features", "1", "--contamination", "0.1"}).json();
  CHECK(j["anomalies"].size() == 2);
  CHECK(j["anomalies"][0]["anomalous_features"].size() <= 1);
  CHECK(j["anomalies_found"] > 2);
  j = Vedette({"detect", file, "-f", "json", "--ignore-columns", "units,colour"}).json();
  CHECK(j["columns_used"] == nlohmann::json::array({"price"}));
  CHECK(j["algorithm"] == "mad");
  j = Vedette({"detect", file, "-f", "json", "--threshold-percentile", "99", "-a", "iforest"}).json();
  CHECK(j["contamination"].get<double>() == Approx(0.01));
  const auto out = folder.Path("out.json");
  const auto written = Vedette({"detect", file, "-f", "json", "-o", out});
  CHECK(written.code == 0);
  CHECK(written.out.empty());
  CHECK(nlohmann::json::parse(ReadFile(out))["rows_read"] == 200);
  CHECK(Vedette({"detect", file, "-o", folder.Path("no/such/folder")}).code == 1);
}

TEST_CASE("standard input, gzip, other delimiters, BOM and CRLF give the same answer") {
  const Folder folder;
  const auto plain = Vedette({"detect", folder.Write("t.csv", SmallTable()), "-f", "csv", "-q"});
  REQUIRE(plain.code == 0);
  CHECK(Vedette({"detect", "-", "-f", "csv", "-q"}, SmallTable()).out == plain.out);
  CHECK(Vedette({"detect", folder.Write("t.csv.gz", Gzip(SmallTable())), "-f", "csv", "-q"}).out == plain.out);
  std::string semicolons = SmallTable(), crlf = "\xEF\xBB\xBF";
  std::replace(semicolons.begin(), semicolons.end(), ',', ';');
  CHECK(Vedette({"detect", folder.Write("s.csv", semicolons), "-f", "csv", "-q"}).out == plain.out);
  for (const char c : SmallTable()) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  CHECK(Vedette({"detect", folder.Write("c.csv", crlf), "-f", "csv", "-q"}).out == plain.out);
}

TEST_CASE("a file larger than the sample is scored in a second pass, and the odd row is still found") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 50; ++i) text += i == 0 ? SmallTable() : SmallTable().substr(SmallTable().find('\n') + 1);
  const auto file = folder.Write("big.csv", text);
  const std::vector<std::string> args = {"detect", file,   "--sample-rows",   "1000",
                                         "-a",     "ecod", "--contamination", "0.01"};
  auto with = [&](std::vector<std::string> more) {
    auto all = args;
    all.insert(all.end(), more.begin(), more.end());
    return Vedette(all);
  };
  const auto table = with({});
  INFO(table.out << table.err);
  CHECK(table.code == 0);
  CHECK(Has(table.out, "10,000 rows"));
  CHECK(Has(table.out, "random sample of 1,000 rows"));
  CHECK(Has(table.out, "units 940"));
  const auto rows = with({"-f", "json"}).json();
  CHECK(rows["sampled"] == true);
  CHECK(rows["order"] == "row_index");
  CHECK(rows["rows_read"] == 10000);
  int found = 0;
  for (const auto& row : rows["anomalies"]) found += row["row_index"].get<int>() % 200 == 100;
  CHECK(found == 50);
  const auto limited = with({"-f", "json", "--limit", "10"}).json();
  CHECK(limited["order"] == "score");
  CHECK(limited["anomalies"].size() == 10);
  for (const auto& row : limited["anomalies"]) CHECK(row["row_index"].get<int>() % 200 == 100);
}

TEST_CASE("fit and score: a stored model finds the same row, alone or among others") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable());
  const auto model = folder.Path("m.vdt");
  const auto fit = Vedette({"fit", file, "-a", "iforest", "--model", model, "--contamination", "0.01"});
  INFO(fit.out << fit.err);
  REQUIRE(fit.code == 0);
  CHECK(Has(fit.out, "iforest, fitted on 200 rows"));
  const auto all = Vedette({"score", file, "--model", model, "-f", "json"}).json();
  CHECK(all["anomalies"][0]["row_index"] == 100);
  CHECK(all["model"] == model);
  const auto alone =
      Vedette({"score", "-", "--model", model, "-f", "json"}, "extra,colour,price,units\nx,green,3.6,940\n");
  INFO(alone.err);
  REQUIRE(alone.code == 0);
  CHECK(alone.json()["anomalies"][0]["raw_data"]["extra"] == "x");
  CHECK(alone.json()["anomalies"][0]["anomaly_score"].get<double>() > 0.5);
  const auto lacking = Vedette({"score", "-", "--model", model}, "colour,Price\nred,3\ngreen,4\n");
  CHECK(lacking.code == 1);
  CHECK(Has(lacking.err, "lacks 2 columns that the model was fitted on: "));
  CHECK(Has(lacking.err, "'units'"));
}

TEST_CASE("a model file that is cut, changed or something else gives one clear error") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable());
  const auto model = folder.Path("m.vdt");
  REQUIRE(Vedette({"fit", file, "-a", "iforest", "--model", model, "-q"}).code == 0);
  const std::string bytes = ReadFile(model);
  std::string changed = bytes;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 0x40);
  const std::vector<std::string> hostile = {
      "", "VDTM", bytes.substr(0, bytes.size() / 2), bytes + "more", changed, std::string(1000, '\xFF'), SmallTable()};
  for (const auto& h : hostile) {
    const auto r = Vedette({"score", file, "--model", folder.Write("h.vdt", h)});
    INFO(h.size() << ": " << r.err);
    CHECK(r.code == 1);
    CHECK(Has(r.err, "not a usable model"));
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
  }
  CHECK(Vedette({"score", file, "--model", folder.Path("none.vdt")}).code == 1);
}

TEST_CASE("explain says in words and numbers why a row is odd") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable());
  const auto text = Vedette({"explain", file, "--row", "100", "--contamination", "0.01"});
  INFO(text.out << text.err);
  CHECK(text.code == 0);
  CHECK(Has(text.out, "Row 100 is anomalous"));
  CHECK(Has(text.out, "Check units first"));
  const auto r = Vedette({"explain", file, "--row", "100", "-a", "ecod", "--method", "native", "--format", "json"});
  REQUIRE(r.code == 0);
  const auto j = r.json();
  CHECK(j["method"] == "native");
  CHECK(j["row_index"] == 100);
  CHECK(!j["space"].get<std::string>().empty());
  REQUIRE(j["contributions"].size() == 3);
  double shares = 0;
  for (const auto& c : j["contributions"]) shares += c["share"].get<double>();
  CHECK(shares == Approx(1));
  for (const char* key : {"feature_name", "contribution", "share", "actual_value", "expected_value", "direction"}) {
    CHECK(j["contributions"][0].contains(key));
  }
  CHECK(j["contributions"][0]["feature_name"] == "units");
  const auto usual = Vedette({"explain", file, "--row", "1", "--contamination", "0.01"});
  CHECK(Has(usual.out, "is not anomalous"));
  const auto beyond = Vedette({"explain", file, "--row", "200"});
  CHECK(beyond.code == 1);
  CHECK(Has(beyond.err, "numbered 0 to 199"));
}

TEST_CASE("a column that looks like an answer is used but pointed out") {
  const Folder folder;
  const auto file = folder.Write("t.csv", LabelledTable());
  CHECK(Has(Vedette({"detect", file}).err, "--ignore-columns label"));
  CHECK_FALSE(Has(Vedette({"detect", file, "--ignore-columns", "label"}).err, "hint"));
}

}  // namespace vedette::cli_test
