// Help, mistakes in the command line, exit codes, and the commands that need no table.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "cli/program.h"

namespace vedette::cli_test {
namespace {

bool Has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("every command of the overview has a page with usage and examples") {
  const auto overview = Vedette({"--help"});
  CHECK(overview.code == 0);
  CHECK(overview.out == Vedette({}).out);
  CHECK(overview.out == Vedette({"help"}).out);
  for (const std::string command :
       {"detect", "explain", "fit", "score", "evaluate", "algorithms", "generate", "version"}) {
    CHECK(Has(overview.out, "  " + command + " "));
    const auto page = Vedette({command, "--help"});
    CHECK(page.code == 0);
    CHECK(Has(page.out, "usage: vedette " + command));
    CHECK(page.out == Vedette({"help", command}).out);
    if (command != "version") CHECK(Has(page.out, "Examples"));
  }
}

TEST_CASE("an unknown command is refused with the nearest name") {
  const auto r = Vedette({"detekt", "x.csv"});
  CHECK(r.code == 2);
  CHECK(r.out.empty());
  CHECK(Has(r.err, "unknown command 'detekt' (did you mean detect?)"));
  CHECK(Vedette({"help", "detekt"}).code == 2);
}

TEST_CASE("all mistakes of a command line come at once, each with the nearest valid name") {
  const auto r = Vedette({"detect", "--algoritm", "iforest", "--format", "jsn", "--contamination", "0.9", "--seed", "x",
                          "--algorithm", "iforrest", "--scaling"});
  INFO(r.err);
  CHECK(r.code == 2);
  CHECK(r.out.empty());
  CHECK(Has(r.err, "7 mistakes"));
  CHECK(Has(r.err, "unknown option --algoritm (did you mean --algorithm?)"));
  CHECK(Has(r.err, "--format must be one of table, json, csv, not 'jsn' (did you mean json?)"));
  CHECK(Has(r.err, "--contamination must be between"));
  CHECK(Has(r.err, "--seed needs a whole number, not 'x'"));
  CHECK(Has(r.err, "iforest"));
  CHECK(Has(r.err, "--scaling needs a value"));
  CHECK(Has(r.err, "FILE is missing"));
}

TEST_CASE("wrong parameters are reported together with the valid ones") {
  const auto r = Vedette({"detect", "none.csv", "-a", "knn", "-p", "n_neigbors=5", "-p", "method=largset"});
  INFO(r.err);
  CHECK(r.code == 2);
  CHECK(Has(r.err, "n_neighbors"));
  CHECK(Has(r.err, "largest"));
}

TEST_CASE("flags that exclude each other, and flags that need another") {
  CHECK(
      Has(Vedette({"detect", "x", "--contamination", "0.1", "--threshold-percentile", "90"}).err, "give one of them"));
  CHECK(Has(Vedette({"detect", "x", "-p", "n_estimators=5"}).err, "--param needs --algorithm"));
  CHECK(Has(Vedette({"detect", "x", "--device", "gpu"}).err, "--device must be auto, cpu or cuda:N"));
  CHECK(Has(Vedette({"fit", "x"}).err, "--model is missing"));
  CHECK(Has(Vedette({"explain", "x"}).err, "--row is missing"));
  CHECK(Has(Vedette({"evaluate", "x"}).err, "--label is missing"));
  CHECK(Has(Vedette({"detect", "x", "--seed", "1", "--seed", "2"}).err, "given twice"));
  for (const std::string command : {"fit", "explain", "evaluate", "score"}) CHECK(Vedette({command, "x"}).code == 2);
}

TEST_CASE("an unknown column to ignore is named with the nearest one") {
  const auto r = Vedette({"detect", "-", "--ignore-columns", "colur,nothing_like_it"}, SmallTable());
  CHECK(r.code == 1);
  CHECK(Has(r.err, "'colur' (did you mean colour?)"));
  CHECK(Has(r.err, "'nothing_like_it'"));
}

TEST_CASE("algorithms are listed and documented from their descriptors") {
  const auto list = Vedette({"algorithms", "--format", "json"}).json();
  REQUIRE(list.is_array());
  std::set<std::string> names;
  for (const auto& a : list) {
    names.insert(a["name"].get<std::string>());
    for (const char* key : {"family", "summary", "paper", "deterministic", "parameters"}) CHECK(a.contains(key));
    for (const auto& p : a["parameters"]) CHECK(!p["summary"].get<std::string>().empty());
  }
  for (const std::string name :
       {"iforest", "ecod", "copod", "hbos", "knn", "lof", "pca", "mcd", "zscore", "mad", "autoencoder"}) {
    CHECK(names.contains(name));
    const auto page = Vedette({"algorithms", name});
    CHECK(page.code == 0);
    CHECK(Has(page.out, "paper"));
    CHECK(Vedette({"algorithms", name, "--format", "json"}).json().size() == 1);
  }
  CHECK(Vedette({"algorithms", "ifrest"}).code == 2);
  CHECK(Has(Vedette({"algorithms", "ifrest"}).err, "iforest"));
}

TEST_CASE("evaluate prints one row per algorithm with the promised fields, and never shows it the label") {
  const Folder folder;
  const auto file = folder.Write("t.csv", LabelledTable());
  const auto r = Vedette({"evaluate", file, "--label", "label", "--algorithm", "ecod,iforest", "--repeat", "3",
                          "--threads", "2", "--format", "json", "--ignore-columns", "colour"});
  INFO(r.err);
  REQUIRE(r.code == 0);
  const auto rows = nlohmann::ordered_json::parse(r.out);
  REQUIRE(rows.size() == 2);
  const std::vector<std::string> keys = {
      "algorithm",   "rows",          "features",        "roc_auc",           "average_precision", "precision_at_n",
      "fit_seconds", "score_seconds", "fit_cpu_seconds", "score_cpu_seconds", "peak_rss_bytes"};
  for (const auto& row : rows) {
    std::vector<std::string> got;
    for (const auto& [key, value] : row.items()) got.push_back(key);
    CHECK(got == keys);
    CHECK(row["rows"] == 200);
    CHECK(row["features"] == 2);
    CHECK(row["roc_auc"].get<double>() > 0.95);
    CHECK(row["peak_rss_bytes"].get<int64_t>() > 1000000);
  }
  CHECK(rows[0]["algorithm"] == "ecod");
  const auto csv = Vedette({"evaluate", file, "--label", "label", "-a", "ecod", "-f", "csv"});
  CHECK(csv.out.starts_with("algorithm,rows,features,roc_auc,average_precision,precision_at_n,"));
  CHECK(Has(Vedette({"evaluate", file, "--label", "label", "-a", "ecod"}).out, "2 anomalies"));
}

TEST_CASE("evaluate refuses labels that say nothing") {
  const Folder folder;
  const auto file = folder.Write("t.csv", LabelledTable());
  CHECK(Has(Vedette({"evaluate", file, "--label", "lable", "-a", "ecod"}).err, "did you mean label?"));
  CHECK(Vedette({"evaluate", file, "--label", "colour", "-a", "ecod"}).code == 1);
  CHECK(Vedette({"evaluate", file, "--label", "colour", "--positive", "red", "-a", "ecod"}).code == 0);
  CHECK(Has(Vedette({"evaluate", file, "--label", "units", "-a", "ecod"}).err, "--label units"));
}

TEST_CASE("generate writes labelled data that detect can read, the same for the same seed") {
  for (const std::string kind : {"telemetry", "table", "statements", "retail"}) {
    const auto r = Vedette({"generate", kind, "--rows", "300", "--seed", "5"});
    INFO(kind << r.err);
    CHECK(r.code == 0);
    CHECK(std::count(r.out.begin(), r.out.end(), '\n') == 301);
    CHECK(r.out == Vedette({"generate", kind, "--rows", "300", "--seed", "5"}).out);
    CHECK(Vedette({"detect", "-", "-x", "label,anomaly_kind"}, r.out).code == 0);
  }
  const auto wrong = Vedette({"generate", "retial"});
  CHECK(wrong.code == 2);
  CHECK(Has(wrong.err, "did you mean retail?"));
}

TEST_CASE("flags --device reaches the algorithms that have one, and is pointed out for the others") {
  const auto neural = Vedette({"detect", "-", "-a", "autoencoder", "--device", "cuda:0"}, SmallTable());
  CHECK_FALSE(Has(neural.err, "must be one of"));  // it may lack the module or the device, but it was understood
  CHECK(Has(Vedette({"detect", "-", "-a", "ecod", "--device", "cuda:0"}, SmallTable()).err, "has no effect"));
}

TEST_CASE("a result that cannot be written is a failure, and leaves no half file") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable());
  const auto r = Vedette({"detect", file, "-o", "/dev/full/x"});
  CHECK(r.code == 1);
  CHECK(Has(r.err, "cannot be written"));
  const auto kept = folder.Write("kept.json", "before");
  CHECK(Vedette({"detect", folder.Path("none.csv"), "-o", kept}).code == 1);
  CHECK(ReadFile(kept) == "before");
}

TEST_CASE("version") {
  CHECK(Vedette({"version"}).out.starts_with("vedette "));
  CHECK(Vedette({"--version"}).code == 0);
}

}  // namespace vedette::cli_test
